"""The API in a process of its own, for benchmarks and tests that must not share its CPU time or memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 30.0


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Starts `python -m breeds_api` on a free port with `options` and gives its base URL.

    Raises RuntimeError when it is not ready within 30 seconds.
    """
    with tempfile.TemporaryDirectory(prefix="breeds-api-") as folder:
        ready = Path(folder, "ready.json")
        command = [sys.executable, "-m", "breeds_api", "--ready-file", str(ready), *options]
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            yield _url(process, ready)
        finally:
            process.terminate()
            process.wait(timeout=10)


def _url(process: subprocess.Popen[bytes], ready: Path) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists():
            return str(json.loads(ready.read_text())["url"])
        time.sleep(0.02)
    raise RuntimeError(f"breeds_api was not ready: exit code {process.poll()} after at most {_START_S:g} s")
