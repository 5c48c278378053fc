"""Starts an emulator in a process of its own: for tests, benchmarks and the laptop commands."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

INCLUDE = Path(__file__).resolve().parents[1]
READY_S = 60.0
WORDS = 2000
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
    `log` takes its output (else thrown away), `env` replaces the environment that it starts in. It ends with this
    process, however that ends, and leaves nothing but `state`, `env_cache` and `log`.
    """
    given: dict[str, object] = {
        "--state": state,
        "--images": images,
        "--env-cache": env_cache,
        "--project": project,
    }
    given |= {"--batch-delay": batch_delay, "--pubsub": pubsub, "--parent": os.getpid()}
    given |= {"--grpc-port": grpc_port, "--rest-port": rest_port}
    options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    with log.open("ab+") if log else tempfile.TemporaryFile() as output, ExitStack() as running:
        with tempfile.TemporaryDirectory(prefix="gcp-emulator-start-") as folder:
            ready = Path(folder) / "ready.json"
            command = [sys.executable, "-m", "gcp_emulator", "--ready-file", str(ready), *options]
            process = _spawn(command, dict(os.environ if env is None else env), output)
            running.callback(stop, process)
            content = _wait_ready(process, ready, output)
        yield content


def _spawn(command: Sequence[str], env: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(INCLUDE), env.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _wait_ready(process: subprocess.Popen[bytes], ready: Path, output: IO[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S
    while not ready.exists():
        if process.poll() is not None:
            raise StartFailed(
                f"The emulator ended with exit code {process.returncode}: {_last_words(output)}"
            )
        if time.monotonic() > deadline:
            raise StartFailed(f"The emulator was not ready after {READY_S:g} s: {_last_words(output)}")
        time.sleep(0.02)
    content: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
    return content


def _last_words(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), WORDS, max(0, size - WORDS)).decode(errors="replace").strip()


def stop(process: subprocess.Popen[bytes]) -> int:
    """End it as Ctrl-C would, with force after half a minute; its exit code."""
    process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
