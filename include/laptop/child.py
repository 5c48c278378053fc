"""One process that a laptop command starts, with its output in a file."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from laptop.progress import Progress

STOP_S = 15


class ChildFailed(Exception):
    """A process ended when it should not have, or not as it should have; the text ends with its last lines."""

    def __init__(self, name: str, log: Path, code: int) -> None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        super().__init__(f"{name} ended with exit code {code}; its whole output: {log}\n{tail}")


class Child:
    """A Python module as a process: `python -m argv...`. Leaving the context stops it."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], logs: Path, cwd: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *argv], env=dict(env), stdout=out, stderr=subprocess.STDOUT, cwd=cwd
            )

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def ready(self, file: Path, progress: Progress) -> dict[str, Any]:
        """Waits for the ready file that the process writes and returns what it says."""

        def done() -> bool:
            if self.ended():
                raise ChildFailed(self.name, self.log, self.process.returncode)
            return file.exists()

        progress.wait(done, f"starting {self.name}")
        return dict(json.loads(file.read_text()))

    def finish(self, progress: Progress, what: str, timeout_s: float = 600) -> None:
        """Waits for the end; ChildFailed unless the exit code is 0."""
        progress.wait(self.ended, what, timeout_s)
        if self.process.returncode != 0:
            raise ChildFailed(self.name, self.log, self.process.returncode)
