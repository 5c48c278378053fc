"""Starts an emulator in a process of its own: for tests, benchmarks and the laptop commands."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INCLUDE = Path(__file__).resolve().parents[1]
READY_S = 60.0
STOP_S = 30.0  # above the ten seconds that a cancelled task has


class StartFailed(Exception):
    """The emulator did not become ready: the message holds its last words."""


@contextmanager
def start(
    *,
    grpc_port: int = 0,
    rest_port: int = 0,
    state: Path | None = None,
    images: Path | None = None,
    env_cache: Path | None = None,
    project: str | None = None,
    batch_delay: float | None = None,
    pubsub: str | None = None,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Run an emulator for the length of the context; gives what its ready file says (grpc, rest, env, pid).

    Ports are free ones unless given; `pubsub` (host:port) is another Pub/Sub for Batch's notifications,
    `log` takes its output (else thrown away once it is ready), `env` replaces the environment that it starts in.
    """
    with tempfile.TemporaryDirectory(prefix="gcp-emulator-start-") as folder:
        ready = Path(folder) / "ready.json"
        output = log or Path(folder) / "output.log"
        given: dict[str, object] = {
            "--state": state,
            "--images": images,
            "--env-cache": env_cache,
            "--project": project,
        }
        given |= {"--batch-delay": batch_delay, "--pubsub": pubsub}
        options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
        command = [sys.executable, "-m", "gcp_emulator", "--ready-file", str(ready), *options]
        command += ["--grpc-port", str(grpc_port), "--rest-port", str(rest_port)]
        with output.open("ab") as sink:
            process = _spawn(command, dict(os.environ if env is None else env), sink)
        try:
            yield _wait_ready(process, ready, output)
        finally:
            stop(process)


def _spawn(command: Sequence[str], env: dict[str, str], sink: Any) -> subprocess.Popen[bytes]:
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(INCLUDE), env.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _wait_ready(process: subprocess.Popen[bytes], ready: Path, output: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S
    while not ready.exists():
        if process.poll() is not None:
            words = output.read_text(errors="replace").strip()[-2000:]
            raise StartFailed(f"The emulator ended with exit code {process.returncode}: {words}")
        if time.monotonic() > deadline:
            raise StartFailed(f"The emulator was not ready after {READY_S:g} s; its output is in {output}")
        time.sleep(0.02)
    content: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
    return content


def stop(process: subprocess.Popen[bytes]) -> int:
    """End it as Ctrl-C would, with force after half a minute; its exit code."""
    process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
