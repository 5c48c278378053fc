"""One attempt of one task: starts its containers in order, waits for the first reason to stop, and stops them.

The main container's end ends the task, whatever it was; then and on timeout and cancel the others get SIGTERM and ten
seconds (https://cloud.google.com/run/docs/container-contract), then SIGKILL. A sidecar that ends before does
not end the task. Over the memory limit everything gets SIGKILL at once.
"""

import asyncio
import math
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from gcp_emulator.runtime.model import Container, End, LogSink, TaskResult, TaskSpec
from gcp_emulator.runtime.probe import passes
from gcp_emulator.runtime.process import ContainerProcess, Exit
from gcp_emulator.supervisor.order import Order

GRACE_S = 10.0
_MIB = 1024 * 1024
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Verdict:
    end: End
    message: str
    exit_code: int | None = None  # None: the main container's own


class Attempt:
    """Runs `orders` (one for each container of `spec`) until the task has ended in one of the ways of `End`."""

    def __init__(
        self, spec: TaskSpec, orders: Mapping[str, Order], log: LogSink, *stops: asyncio.Event
    ) -> None:
        self._spec = spec
        self._orders = orders
        self._log = log
        self._stops = stops
        self._main = spec.main or spec.containers[0].name
        self._limit = memory_limit(spec)
        self._peak = 0
        self._processes: dict[str, ContainerProcess] = {}
        self._following: asyncio.Task[None] | None = None
        self._ready = {container.name: asyncio.Event() for container in spec.containers}
        self._verdict: asyncio.Future[_Verdict] = asyncio.get_running_loop().create_future()

    async def run(self) -> TaskResult:
        """The result, when every process of the task is gone and all its output was logged."""
        start = datetime.now(UTC)
        tasks = [asyncio.create_task(self._bring_up(container)) for container in self._spec.containers]
        tasks += [asyncio.create_task(self._heed(stop)) for stop in self._stops]
        timer = self._set_timer()
        try:
            await asyncio.shield(self._verdict)
            await self._stop()
        finally:
            if timer:
                timer.cancel()
            self._settle(End.CANCELLED, "The task was cancelled.")
            exits = await self._finish(tasks)
        return self._result(start, exits)

    async def _bring_up(self, container: Container) -> None:
        for name in container.depends_on:
            if not await self._unless_over(self._ready[name].wait()):
                return
        if self._verdict.done():
            return
        process = ContainerProcess(container.name, partial(self._log, container.name), self._weigh)
        self._processes[container.name] = process
        if not await process.start(self._orders[container.name]):
            exit_ = await process.wait()
            reason = exit_.refused or "its supervisor was killed"
            message = f"container '{container.name}': {reason}."
            self._settle(End.NOT_STARTED, message, exit_.code)
            return
        if container.name == self._main:
            self._following = asyncio.create_task(self._follow(process))
        if container.startup_probe:
            healthy = await self._unless_over(passes(container.startup_probe))
            if healthy is False:
                self._settle(End.NOT_STARTED, f"Container '{container.name}' failed its startup probe.", 1)
            if not healthy:
                return
        self._ready[container.name].set()

    async def _follow(self, process: ContainerProcess) -> None:
        exit_ = await process.wait()
        said = f"terminated on signal {exit_.signal}" if exit_.signal else f"called exit({exit_.code})"
        self._settle(End.EXITED, f"Container {said}.")

    async def _heed(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._settle(End.CANCELLED, "The task was cancelled.")

    def _set_timer(self) -> asyncio.TimerHandle | None:
        seconds = self._spec.timeout_s
        if seconds is None:
            return None
        message = f"Terminating task because it has reached the maximum timeout of {seconds:g} seconds."
        return asyncio.get_running_loop().call_later(seconds, self._settle, End.TIMED_OUT, message)

    def _weigh(self) -> None:
        used = sum(process.memory_bytes for process in self._processes.values())
        self._peak = max(self._peak, used)
        if self._limit is not None and used > self._limit:
            limit, found = self._limit // _MIB, math.ceil(used / _MIB)
            message = f"Memory limit of {limit} MiB exceeded with {found} MiB used."
            self._settle(End.OUT_OF_MEMORY, message, 137)
            self._kill()

    def _settle(self, end: End, message: str, exit_code: int | None = None) -> None:
        """The first reason stands."""
        if not self._verdict.done():
            self._verdict.set_result(_Verdict(end, message, exit_code))

    async def _unless_over(self, waiting: Awaitable[_T]) -> _T | None:
        """What was waited for, or nothing when the task ends first."""
        task = asyncio.ensure_future(waiting)
        both: set[asyncio.Future[Any]] = {task, self._verdict}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    def _kill(self) -> None:
        for process in self._processes.values():
            process.kill()

    async def _stop(self) -> None:
        running = [process for process in self._processes.values() if not process.ended]
        for process in running:
            process.terminate()
        waits = {asyncio.create_task(process.wait()) for process in running}
        if waits:
            await asyncio.wait(waits, timeout=GRACE_S)
        for task in waits:
            task.cancel()

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> dict[str, Exit]:
        self._kill()
        starting, heeding = tasks[: len(self._ready)], tasks[len(self._ready) :]
        for task in heeding:
            task.cancel()
        await asyncio.wait(starting)
        self._kill()  # whatever was being started meanwhile
        if self._following:
            await self._following
        for task in starting:
            task.result()
        return {name: await process.wait() for name, process in self._processes.items()}

    def _result(self, start: datetime, exits: Mapping[str, Exit]) -> TaskResult:
        verdict = self._verdict.result()
        code = verdict.exit_code
        if code is None:
            code = exits[self._main].code if self._main in exits else 143
        cpu = sum(exit_.cpu_seconds for exit_ in exits.values())
        message = "" if verdict.end is End.EXITED and code == 0 else verdict.message
        return TaskResult(code, verdict.end, message, start, datetime.now(UTC), self._peak, cpu)


def memory_limit(spec: TaskSpec) -> int | None:
    """Bytes that all containers may hold together, or no limit."""
    limits = [container.memory_bytes for container in spec.containers]
    return None if None in limits else sum(filter(None, limits))
