"""What jobs run on: the emulator's other services, and what may go wrong."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gcp_emulator.batch.attempt import TaskRuntime
from gcp_emulator.batch.machine_pool import Machine
from gcp_emulator.batch.notifications import Notifier
from gcp_emulator.logs.batch import BatchLogs
from gcp_emulator.run.spec import Surroundings
from gcp_emulator.store import Store
from gcp_emulator.usage import Usage

AT_ONCE = 64  # tasks that run at once on this machine, over all jobs
DELAY_S = 0.1


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a job gets no machines: the text of its event, and whether the job fails rather than waits."""

    text: str
    fails: bool = False


class Supply(Protocol):
    """Gives machines to jobs and takes them away."""

    def shortage(self, job: Any) -> Shortage | None:
        """Why there are no machines for this job now, if so."""

    def changed(self, job: Any) -> Awaitable[Any]:
        """Done when it is worth asking again for this job, counted from the call."""

    def started(self, job: Any, index: int, attempt: int, machine: Machine) -> None:
        """A task runs on a machine now."""

    def ended(self, job: Any, index: int) -> None:
        """It does not run any more."""


class Plenty:
    """A region that never runs out of machines."""

    def shortage(self, job: Any) -> Shortage | None:
        return None

    def changed(self, job: Any) -> Awaitable[Any]:
        return asyncio.Event().wait()

    def started(self, job: Any, index: int, attempt: int, machine: Machine) -> None:
        """Nothing happens to it."""

    def ended(self, job: Any, index: int) -> None:
        """Nobody minds."""


@dataclass(frozen=True, slots=True)
class Parts:
    """`work` holds the machines' disks; `project_number` is what status events print; `delay_s` is the time from one
    state to the next where nothing else takes time: QUEUED, SCHEDULED and the two that end in _IN_PROGRESS."""

    store: Store
    runtime: TaskRuntime
    around: Surroundings
    logs: BatchLogs
    notifier: Notifier
    work: Path
    project_number: str
    supply: Supply
    delay_s: float = DELAY_S
    at_once: int = AT_ONCE
    usage: Usage = field(default_factory=Usage)
