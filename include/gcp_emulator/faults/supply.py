"""Regions that run out of machines, and machines that are taken away."""

import asyncio
from collections.abc import Awaitable
from fnmatch import fnmatchcase
from typing import Any

from gcp_emulator.batch.defaults import machine_type, provisioning_model, zones
from gcp_emulator.batch.machine_pool import Machine
from gcp_emulator.batch.parts import Shortage
from gcp_emulator.faults.book import Active, Book
from gcp_emulator.faults.kinds import Exhaust, Preempt
from gcp_emulator.run.names import project, region, short

Wanted = tuple[str, str, str]  # region, machine type, provisioning model
MODELS = ("", "STANDARD", "SPOT", "PREEMPTIBLE", "RESERVATION_BOUND", "FLEX_START")
DETAILS = {
    "ZONE_RESOURCE_POOL_EXHAUSTED": "The zone 'projects/{project}/zones/{zone}' does not have enough resources "
    "available to fulfill the request. '(resource type:compute)'.",
    "QUOTA_EXCEEDED": "Quota 'CPUS' exceeded. Limit: 0.0 in region {region}.",
}


class FaultySupply:
    """Gives Batch its machines as far as the faults that are on allow."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._running: dict[tuple[str, int], tuple[Any, Machine]] = {}
        self._waiting: dict[Wanted, asyncio.Event] = {}
        book.listeners += [self._strike_now, self._tell]

    def shortage(self, job: Any) -> Shortage | None:
        wanted = _wanted(job)
        for active, fault in reversed(list(self._book.of(Exhaust))):
            active.seen += 1
            if _concerns(fault, wanted):
                active.hits += 1
                return Shortage(_event(job, fault), fault.fails)
        return None

    def changed(self, job: Any) -> Awaitable[Any]:
        return self._waiting.setdefault(_wanted(job), asyncio.Event()).wait()

    def _tell(self, active: Active) -> None:
        """Tens of thousands may wait: only those whom a fault concerns hear that it came or went."""
        if isinstance(active.fault, Exhaust):
            for wanted in [wanted for wanted in self._waiting if _concerns(active.fault, wanted)]:
                self._waiting.pop(wanted).set()

    def started(self, job: Any, index: int, attempt: int, machine: Machine) -> None:
        self._running[job.uid, index] = (job, machine)
        for active, fault in self._book.of(Preempt):
            self._plan(active, fault, job, index, machine)

    def ended(self, job: Any, index: int) -> None:
        self._running.pop((job.uid, index), None)

    def _strike_now(self, active: Active) -> None:
        """A new fault concerns what runs already."""
        if isinstance(active.fault, Preempt) and active in self._book:
            for (_, index), (job, machine) in list(self._running.items()):
                self._plan(active, active.fault, job, index, machine)

    def _plan(self, active: Active, fault: Preempt, job: Any, index: int, machine: Machine) -> None:
        names = (job.name, short(job.name), job.uid)
        if fault.task not in (None, index) or not any(fnmatchcase(name, fault.job) for name in names):
            return
        active.seen += 1
        if active.strikes(fault.share, fault.times):
            asyncio.get_running_loop().call_later(fault.after_s, machine.lose, fault.code)


def _wanted(job: Any) -> Wanted:
    return region(job.name), machine_type(job), MODELS[provisioning_model(job)]


def _concerns(fault: Exhaust, wanted: Wanted) -> bool:
    return all(map(fnmatchcase, wanted, (fault.region, fault.machine_type, fault.provisioning_model)))


def _event(job: Any, fault: Exhaust) -> str:
    """As Batch reports errors of its instance groups."""
    detail = DETAILS[fault.reason].format(
        project=project(job.name), zone=zones(job)[0], region=region(job.name)
    )
    return (
        f"VM in Managed Instance Group meets error: Batch Error: code - CODE_GCE_{fault.reason}, description - error "
        f"count is 1, latest message example: Instance '{job.uid}-group0-0' creation failed: {detail}"
    )
