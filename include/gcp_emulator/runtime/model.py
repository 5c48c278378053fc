"""What a service asks the runtime to run, and what it gets back. Pure: no process is started here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file of a secret volume: its bytes and its mode (octal, 0o444 as on Cloud Run)."""

    content: bytes
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder that the containers of a task share; it is empty at the start but for `files`.

    `path` is set for a volume that outlives the task (a bucket's local folder); otherwise the volume is memory
    and counts against the task's memory limit (`size_limit_bytes` is kept, not enforced).
    """

    name: str
    files: Mapping[str, SecretFile] = field(default_factory=dict)
    path: str | None = None
    read_only: bool = False
    size_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a container sees a volume: `path` is absolute inside the container."""

    volume: str
    path: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A startup probe: a connection to `port` on 127.0.0.1 or, with `path`, an HTTP GET answered by 200 to 399.

    The defaults are Cloud Run's; a gRPC probe is asked as a plain connection.
    """

    port: int
    path: str | None = None
    initial_delay_s: float = 0.0
    timeout_s: float = 1.0
    period_s: float = 10.0
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a task. Empty `command` or `args` mean the image's own ENTRYPOINT or CMD.

    As in Kubernetes, `command` without `args` leaves the image's CMD out too. A container starts when those of
    `depends_on` have started and passed their startup probes.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    memory_bytes: int | None = None
    depends_on: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    startup_probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One attempt of one task. The container named `main` (by default the first) decides the exit code.

    With `disk_is_memory`, as on Cloud Run, what containers write counts against the limit.

    The memory limit holds for the task as a whole and is the sum of the containers' limits, as Cloud Run reports it
    for an instance with sidecars; there is none if one of them has none.
    """

    name: str
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...] = ()
    timeout_s: float | None = None
    service_account: str = ""
    project: str = ""
    main: str = ""
    disk_is_memory: bool = True


class End(StrEnum):
    """Why a task attempt ended."""

    EXITED = "exited"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How an attempt ended: exit code (0..255; 128 + n for signal n), the reason, and what it used."""

    exit_code: int
    end: End
    message: str
    start_time: datetime
    end_time: datetime
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0


class LogSink(Protocol):
    """Takes one line of output (without its newline) as soon as it is written."""

    def __call__(self, container: str, stream: str, line: str) -> None: ...
