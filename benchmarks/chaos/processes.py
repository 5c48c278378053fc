"""What a small Airflow consists of: tasks, the processes that work at them or wait for them, and what forks those."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from benchmarks.chaos.plan import Blow, Plan

START_S = 120.0


@dataclass
class Task:
    """A task instance, as Airflow's database has it, and what was done to it."""

    plan: Plan
    state: str | None = None
    try_number: int = 0
    clear_number: int = 0
    store: dict[str, Any] = field(default_factory=dict)
    xcom: dict[str, Any] = field(default_factory=dict)
    due: float | None = None
    acted: float | None = None
    acted_try: int = 0
    ended: float | None = None
    two: bool = False
    said: str = ""
    trail: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Remember for whoever has to understand a night."""
        self.trail.append(f"{time.time() % 1000:.1f} {what}")


@dataclass(eq=False)
class Process:
    """A process of the zygote's, and our end of its line."""

    pid: int
    line: Any

    def signal(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass(eq=False)
class Worker(Process):
    """One that works at a try of a task. `blow`: what is to happen to it."""

    task: Task | None = None
    try_number: int = 0
    blow: Blow | None = None


@dataclass(eq=False)
class Triggerer(Process):
    """One that runs triggers; `lock` for what is sent to it."""

    stalled: bool = False
    dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, *words: Any) -> None:
        """Order something."""
        with self.lock, suppress(OSError):
            self.line.send(words)


@dataclass(eq=False)
class Wait:
    """A trigger's row: whose it is, and where its event goes."""

    number: int
    task: Task
    spec: tuple[str, dict[str, Any]]
    home: Triggerer
    events: "queue.Queue[Any]" = field(default_factory=queue.Queue)


class Zygote:
    """Of which all processes are forked (benchmarks/chaos/zygote.py).

    :param env: their environment
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._socket = str(folder / "zygote")
        self._log = (folder / "processes.log").open("ab")
        argv = [sys.executable, "-m", "benchmarks.chaos.zygote", self._socket]
        self._process = subprocess.Popen(argv, env=dict(env), stdout=self._log, stderr=self._log)
        until = time.monotonic() + START_S
        while not os.path.exists(self._socket):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"the zygote does not listen; see {self._log.name}")
            time.sleep(0.05)

    def fork(self, kind: str, order: Any, without: str) -> tuple[int, Any]:
        """Have a process: its id, and our end of its line."""
        line = Client(self._socket, "AF_UNIX")
        pid = line.recv()
        line.send((kind, order, without))
        return pid, line

    def stop(self) -> None:
        """End it; its children end with it."""
        self._process.terminate()
        self._process.wait()
        self._log.close()


def inode(port: int) -> str:
    """The socket whose local end is 127.0.0.1:port (proc(5), net/tcp; IPv6 sockets may bear IPv4 addresses)."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[1].endswith(wanted) and fields[9] != "0":
                    return f"socket:[{fields[9]}]"
    return ""


def sockets(pid: int) -> set[str]:
    """The sockets that a process has open."""
    found = set()
    with suppress(OSError):
        for each in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.add(os.readlink(each.path))
    return found
