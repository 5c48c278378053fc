"""The virtual machines of a job: names, zones, a folder each that stands for the machine's disk."""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcp_emulator.batch.defaults import zones
from gcp_emulator.batch.names import GROUP, new_instance_id
from gcp_emulator.run.names import project
from gcp_emulator.runtime.sandbox import discard


@dataclass(eq=False, slots=True)
class Machine:
    """One machine; `lost` listeners hear of the exit code (50001 and on) with which its tasks end."""

    name: str
    instance_id: str
    zone: str
    folder: Path
    listeners: set[Callable[[int], None]] = field(default_factory=set)
    gone: bool = False

    @property
    def place(self) -> str:
        """As status events name it."""
        return f"zones/{self.zone}/instances/{self.instance_id}"

    def lose(self, code: int) -> None:
        """The machine is taken away: the tasks on it end."""
        self.gone = True
        for listener in list(self.listeners):
            listener(code)


class MachinePool:
    """As many machines as a job's parallelism needs; one that was lost is replaced by another."""

    def __init__(self, job: Any, work: Path) -> None:
        self._uid = str(job.uid)
        self._project = project(job.name)
        self._zones = zones(job)
        self._pack = int(job.status.task_groups[GROUP].instances[0].task_pack)
        self._work = work
        self._slots: dict[int, Machine] = {}
        self._made = 0

    def machine(self, worker: int) -> Machine:
        """The machine on which the n-th of the tasks that run side by side runs."""
        slot = worker // self._pack
        if slot not in self._slots or self._slots[slot].gone:
            self._slots[slot] = self._new()
        return self._slots[slot]

    @property
    def machines(self) -> list[Machine]:
        return list(self._slots.values())

    @property
    def node_list(self) -> str:
        return ",".join(machine.name for machine in self._slots.values())

    def _new(self) -> Machine:
        self._made += 1
        name = f"{self._uid}-{GROUP}-0-{secrets.token_hex(2)}"
        folder = self._work / re.sub(r"[^\w.-]", "-", f"{os.getpid()}-vm-{self._project}-{name}-{self._made}")
        return Machine(name, new_instance_id(), self._zones[self._made % len(self._zones)], folder)

    async def close(self) -> None:
        """Remove what was written to the machines' disks."""
        for machine in self._slots.values():
            if machine.folder.exists():
                await discard(machine.folder)
