"""One attempt of one task: its runnables one after the other, on one machine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gcp_emulator.batch import containers
from gcp_emulator.batch.barriers import Barriers
from gcp_emulator.batch.exit_codes import MAX_RUN_TIME, UNKNOWN
from gcp_emulator.runtime.model import End, LogSink, TaskResult, TaskSpec

Log = Callable[[int, str, str], None]  # runnable's index, stream, line
Say = Callable[[str, str], None]  # severity, text
Used = Callable[[TaskResult], None]


class TaskRuntime(Protocol):
    """What runs a runnable: the runtime, or in tests something that only says that it does."""

    async def run(self, spec: TaskSpec, log: LogSink, cancel: asyncio.Event | None = None) -> TaskResult: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What an attempt runs: runnables, each with its environment, and where."""

    name: str
    index: int
    runnables: Any
    environments: tuple[dict[str, str], ...]
    disk: containers.Disk
    memory_mib: int
    max_run_s: float | None
    service_account: str
    project: str


class Attempt:
    """Runs to the end or until it is halted; `exit_code` then says how it went (0, 1-255, or a reserved one)."""

    def __init__(
        self, work: Work, runtime: TaskRuntime, barriers: Barriers, log: Log, say: Say, used: Used
    ) -> None:
        self.exit_code = 0
        self.halted: int | None = None
        self._work = work
        self._runtime = runtime
        self._barriers = barriers
        self._log = log
        self._say = say
        self._used = used
        self._over = asyncio.Event()
        self._foreground_done = asyncio.Event()

    def halt(self, code: int) -> None:
        """Stop what runs; `code` is the attempt's exit code (UNKNOWN for a cancelled job). The first reason stands."""
        if self.halted is None:
            self.halted = code
            self._over.set()
            self._foreground_done.set()

    async def run(self) -> int:
        """The exit code; nothing runs any more."""
        timer = None
        if self._work.max_run_s is not None:
            timer = asyncio.get_running_loop().call_later(self._work.max_run_s, self._out_of_time)
        background: list[tuple[int, asyncio.Task[int]]] = []
        try:
            for index, runnable in enumerate(self._work.runnables):
                if self._skips(runnable):
                    continue
                if runnable.background:
                    background.append((index, asyncio.create_task(self._run(index, self._foreground_done))))
                else:
                    self._note(index, await self._step(index, runnable))
        finally:
            self._foreground_done.set()
            for index, task in background:
                self._note(index, await task)
            if timer:
                timer.cancel()
        if self.halted is not None:
            self.exit_code = self.halted
        return self.exit_code

    def _out_of_time(self) -> None:
        self._say(
            "ERROR",
            f"Task runs over the maximum run time of {self._work.max_run_s:g}s: exit code {MAX_RUN_TIME}",
        )
        self.halt(MAX_RUN_TIME)

    def _skips(self, runnable: Any) -> bool:
        return self.halted is not None or (bool(self.exit_code) and not runnable.always_run)

    def _note(self, index: int, code: int) -> None:
        """The first failure of a runnable that counts is the task's."""
        if code and not self._work.runnables[index].ignore_exit_status:
            self.exit_code = self.exit_code or code

    async def _step(self, index: int, runnable: Any) -> int:
        if not runnable.HasField("barrier"):
            return await self._run(index, self._over)
        await self._unless_over(self._barriers.reach(index, self._work.index))
        return 0

    async def _unless_over(self, waiting: Awaitable[None]) -> None:
        both = {asyncio.ensure_future(waiting), asyncio.create_task(self._over.wait())}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()

    async def _run(self, index: int, cancel: asyncio.Event) -> int:
        """Run one script or container; its exit code."""
        work, runnable = self._work, self._work.runnables[index]
        spec = await asyncio.to_thread(
            containers.spec, runnable, index, work.environments[index], work.disk, work.memory_mib
        )
        spec = replace(
            spec,
            name=f"{work.name}-{index}",
            service_account=work.service_account,
            project=work.project,
        )
        result = await self._runtime.run(spec, lambda _, stream, line: self._log(index, stream, line), cancel)
        self._used(result)
        return self._code(index, runnable, result)

    def _code(self, index: int, runnable: Any, result: TaskResult) -> int:
        name = runnable.display_name or str(index)
        if result.end is End.CANCELLED:
            if self.halted is None and not (runnable.background and self._foreground_done.is_set()):
                self.halt(UNKNOWN)  # the runtime itself is closing
            return 0
        if result.end is End.TIMED_OUT:
            self._say("ERROR", f"Runnable {name} runs over its time-out: exit code {MAX_RUN_TIME}")
            return MAX_RUN_TIME
        if result.end is End.EXITED and result.exit_code == 0:
            self._say("INFO", f"Runnable {name} of task {self._work.name} exited with status 0")
            return 0
        if result.end is End.NOT_STARTED and runnable.HasField("container"):
            self._log(index, "stderr", f"docker: {result.message}")  # where `docker run` itself would say it
        said = result.message or f"exit status {result.exit_code}"
        self._say(
            "ERROR",
            f"Runnable {name} of task {self._work.name} failed: {said} (exit code {result.exit_code})",
        )
        return result.exit_code or UNKNOWN
