"""Prepares and runs the attempts of one task."""

import asyncio
from pathlib import Path
from typing import Any, TextIO

from gcp_emulator.batch import containers
from gcp_emulator.batch.attempt import Attempt, Work
from gcp_emulator.batch.barriers import Barriers
from gcp_emulator.batch.environment import batch_variables, resolved, task_environment
from gcp_emulator.batch.exit_codes import UNKNOWN
from gcp_emulator.batch.machine_pool import Machine
from gcp_emulator.batch.names import task_uid
from gcp_emulator.batch.parts import Parts
from gcp_emulator.run.names import project
from gcp_emulator.run.secrets import SecretsDenied, SecretValues
from gcp_emulator.runtime.model import TaskResult

PATH = 2  # LogsPolicy.Destination


class TaskRun:
    """One task of a job; `attempt` counts from 0. `current` can be halted while it runs."""

    def __init__(self, job: Any, index: int, parts: Parts, barriers: Barriers) -> None:
        self.index = index
        self.attempt = 0
        self.current: Attempt | None = None
        self._job = job
        self._parts = parts
        self._barriers = barriers
        self._uid = task_uid(job.uid, index)

    def say(self, machine: Machine, severity: str, text: str) -> None:
        """What the agent on the machine logs."""
        self._parts.logs.agent(self._job, self._uid, machine.name, severity, text)

    async def run(self, machine: Machine, nodes: str) -> int:
        """One attempt on this machine; its exit code."""
        try:
            work = await self._prepare(machine, nodes)
        except SecretsDenied as error:
            self.say(machine, "ERROR", str(error))
            return UNKNOWN
        with _LogFile(self._job, work.disk, self._uid) as file:

            def line(index: int, stream: str, text: str) -> None:
                runnable = work.runnables[index]
                self._parts.logs.line(self._job, self._uid, machine.name, runnable, stream, text)
                file.write(text)

            def used(result: TaskResult) -> None:
                self._parts.usage.batch(self._job, machine.instance_id, machine.zone, result)

            attempt = Attempt(
                work, self._parts.runtime, self._barriers, line, lambda *said: self.say(machine, *said), used
            )
            if machine.gone:
                return UNKNOWN
            self.current = attempt
            machine.listeners.add(attempt.halt)
            try:
                self._parts.supply.started(self._job, self.index, self.attempt, machine)
                return await attempt.run()
            finally:
                self._parts.supply.ended(self._job, self.index)
                machine.listeners.discard(attempt.halt)
                self.current = None

    async def _prepare(self, machine: Machine, nodes: str) -> Work:
        job, spec = self._job, self._job.task_groups[0].task_spec
        account = job.allocation_policy.service_account.email
        values = SecretValues(self._parts.around.secrets, project(job.name), account)
        shared = task_environment(job, self.index, values)
        own = batch_variables(job, self.index, self.attempt, nodes)
        limit = spec.max_run_duration.ToNanoseconds() / 1e9
        disk = await asyncio.to_thread(containers.task_disk, spec, machine.folder, self._parts.around.folders)
        return Work(
            name=f"task/{self._uid}/{self.attempt}/0",
            index=self.index,
            runnables=spec.runnables,
            environments=tuple({**shared, **resolved(r.environment, values), **own} for r in spec.runnables),
            disk=disk,
            memory_mib=int(spec.compute_resource.memory_mib),
            max_run_s=limit or None,
            service_account=account,
            project=project(job.name),
        )


class _LogFile:
    """Where a job with destination PATH keeps what a task prints."""

    def __init__(self, job: Any, disk: containers.Disk, uid: str) -> None:
        self._path: Path | None = None
        self._file: TextIO | None = None
        if job.logs_policy.destination == PATH:
            folder = disk.folder(job.logs_policy.logs_path.rstrip("/")).path
            self._path = Path(folder or "/") / f"output-{uid}.log"

    def __enter__(self) -> "_LogFile":
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        return self

    def write(self, line: str) -> None:
        if self._file:
            self._file.write(f"{line}\n")

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
