"""Runs one execution: its tasks, side by side as far as allowed, each with its retries."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from gcp_emulator.errors import ApiError
from gcp_emulator.messages import now
from gcp_emulator.run import conditions
from gcp_emulator.run import execution as life
from gcp_emulator.run.conditions import ExecutionReason, Reason, State
from gcp_emulator.run.images import image_error
from gcp_emulator.run.names import short
from gcp_emulator.run.outcome import CANCELLED, Outcome, outcome, task_failed
from gcp_emulator.run.secrets import SecretsDenied
from gcp_emulator.run.spec import Surroundings, for_attempt, prepare
from gcp_emulator.runtime import Runtime, RuntimeFailure
from gcp_emulator.runtime.model import TaskSpec
from gcp_emulator.store import Store
from gcp_emulator.usage import Usage

log = logging.getLogger(__name__)
BREATH = 50  # tasks made before other calls get a turn


class TaskLog(Protocol):
    """Takes the output of tasks and what the platform says about them."""

    def line(self, task: Any, attempt: int, container: str, stream: str, text: str) -> None: ...

    def system(self, task: Any, attempt: int, severity: str, text: str) -> None: ...

    def ended(self, execution: Any, job: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What executions run on."""

    store: Store
    runtime: Runtime
    around: Surroundings
    logs: TaskLog
    usage: Usage


class TaskError(ApiError):
    """A failed task as the error of the run's operation."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self._number = code

    @property
    def number(self) -> int:
        return self._number


class ExecutionRunner:
    """One execution from its start to its end. `cancel` is set from outside; `saved` hears of every change."""

    def __init__(self, execution: Any, parts: Parts, saved: Callable[[], None]) -> None:
        self.execution = execution
        self.cancel = asyncio.Event()
        self.error: ApiError | None = None
        self._store = parts.store
        self._runtime = parts.runtime
        self._around = parts.around
        self._logs = parts.logs
        self._usage = parts.usage
        self._saved = saved
        self._first_failure: tuple[str, Outcome] | None = None

    async def run(self, slots: asyncio.Semaphore) -> None:
        """Run to the end; `slots` bounds the tasks that run at once on this machine."""
        try:
            shared = await self._prepare()
        except (RuntimeFailure, SecretsDenied) as error:
            self._refuse(error)
            return
        tasks = await self._create_tasks()
        if not self.cancel.is_set():
            life.mark_started(self.execution)
            self.save()
        waiting = iter(tasks)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.execution.parallelism):
                group.create_task(self._worker(waiting, shared, slots))
        self._finish()

    async def _prepare(self) -> TaskSpec:
        """What Cloud Run does before the start: secrets, then images; a cancel cuts it short."""
        spec = prepare(self.execution, self._around)
        importing = asyncio.create_task(self._import_images())
        cancelled = asyncio.create_task(self.cancel.wait())
        await asyncio.wait({importing, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        cancelled.cancel()
        if importing.done():
            importing.result()
        importing.cancel()
        return spec

    async def _import_images(self) -> None:
        for container in self.execution.template.containers:
            await self._runtime.prepare(container.image)

    def _refuse(self, error: RuntimeFailure | SecretsDenied) -> None:
        if isinstance(error, SecretsDenied):
            self.error, reason = type(error.error)(str(error)), Reason.SECRETS_ACCESS_CHECK_FAILED
            kind = conditions.RESOURCES_AVAILABLE
        else:
            self.error, reason = image_error(error), Reason.CONTAINER_MISSING
            kind = conditions.CONTAINER_READY
        conditions.put(self.execution, kind, State.FAILED, self.error.message, reason)
        life.mark_failed(self.execution, self.error.message, reason)
        self.save()

    async def _create_tasks(self) -> list[Any]:
        tasks = []
        for index in range(self.execution.task_count):
            tasks.append(life.create_task(self.execution, index))
            self._store.put(tasks[-1])
            if index % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        return tasks

    async def _worker(self, waiting: Iterator[Any], shared: TaskSpec, slots: asyncio.Semaphore) -> None:
        for task in waiting:
            if self.cancel.is_set():
                self._end_task(task, CANCELLED)
                continue
            async with slots:
                await self._run_task(task, shared)

    async def _run_task(self, task: Any, shared: TaskSpec) -> None:
        self.execution.running_count += 1
        result = CANCELLED
        for attempt in range(task.max_retries + 1):
            if self.cancel.is_set():
                result = CANCELLED
                break
            self.execution.retried_count += attempt == 1
            result = await self._attempt(task, shared, attempt)
            if result.ok or result.cancelled:
                break
        self.execution.running_count -= 1
        self._end_task(task, result)

    async def _attempt(self, task: Any, shared: TaskSpec, attempt: int) -> Outcome:
        life.task_started(task, attempt)
        self._store.put(task)
        self.save()
        spec = for_attempt(shared, self.execution, task.index, attempt)

        def log_line(container: str, stream: str, line: str) -> None:
            self._logs.line(task, attempt, container, stream, line)

        ended = await self._runtime.run(spec, log_line, self.cancel)
        self._usage.cloud_run(task, ended)
        result = outcome(ended)
        life.task_attempted(task, result.code, result.message, result.exit_code)
        if result.system_line:
            self._logs.system(task, attempt, "ERROR", result.system_line)
        return result

    def _end_task(self, task: Any, result: Outcome) -> None:
        life.task_ended(task, result.code, result.message, result.exit_code)
        self._store.put(task)
        if result.ok:
            self.execution.succeeded_count += 1
        elif result.cancelled:
            self.execution.cancelled_count += 1
        else:
            self.execution.failed_count += 1
            self._first_failure = self._first_failure or (short(task.name), result)
        self.save()

    def _finish(self) -> None:
        if self.cancel.is_set() and self.execution.cancelled_count:
            life.mark_cancelled(self.execution)
        elif self._first_failure is not None:
            task_id, result = self._first_failure
            text = task_failed(task_id, result)
            self.error = TaskError(result.code, text)
            reason = ExecutionReason.NON_ZERO_EXIT_CODE if result.non_zero_exit else None
            life.mark_failed(self.execution, text, reason)
        else:
            life.mark_succeeded(self.execution)
        self.save()
        log.info("%s ended: %s", self.execution.name, conditions.completed(self.execution).message)

    def save(self) -> None:
        self.execution.update_time.CopyFrom(now())
        self._store.put(self.execution)
        self._saved()
