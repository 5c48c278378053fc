"""Starts, cancels and deletes executions, and keeps job and operation in step with them."""

import asyncio
import logging
from typing import Any

from gcp_emulator.errors import ApiError, FailedPrecondition, Unavailable
from gcp_emulator.messages import Execution, Job, Operation, Task
from gcp_emulator.run import conditions
from gcp_emulator.run import execution as life
from gcp_emulator.run import template as templates
from gcp_emulator.run.conditions import ExecutionReason, Reason
from gcp_emulator.run.names import job_of, location, missing, new_execution_id, short
from gcp_emulator.run.runner import ExecutionRunner, Parts
from gcp_emulator.services.operations import Operations

log = logging.getLogger(__name__)
AT_ONCE = 64  # tasks that run at once on this machine, over all executions
RUNNING, PENDING, SUCCEEDED, FAILED, CANCELLED = 3, 4, 1, 2, 5  # ExecutionReference.CompletionStatus
RESTARTED = "The emulator stopped while this execution ran; its tasks are gone. Run the job again."


class Engine:
    """All executions of one emulator."""

    def __init__(self, parts: Parts, operations: Operations) -> None:
        self._parts = parts
        self._store = parts.store
        self._operations = operations
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._runners: dict[str, ExecutionRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def start(self, job: Any, template: Any, creator: str, execution_id: str = "") -> tuple[Any, Operation]:
        """Begin an execution of a stored job with this (overridden) template."""
        if self._closing:
            raise Unavailable("The emulator is stopping.")
        identifier = execution_id or self._free_id(job)
        execution = life.create(job, template, identifier, creator)
        operation = self._operations.begin(location(job.name), execution)
        runner = ExecutionRunner(execution, self._parts, lambda: self._saved(runner, operation.name))
        self._store.put(execution)
        self._refer(execution, created=True)
        self._runners[execution.name] = runner
        running = asyncio.create_task(runner.run(self._slots), name=execution.name)
        self._running[execution.name] = running
        running.add_done_callback(lambda done: self._ended(runner, operation.name, done))
        return execution, operation

    def _free_id(self, job: Any) -> str:
        identifier = new_execution_id(short(job.name))
        while self._store.get(Execution, f"{job.name}/executions/{identifier}") is not None:
            identifier = new_execution_id(short(job.name))
        return identifier

    def _saved(self, runner: ExecutionRunner, operation: str) -> None:
        self._operations.progress(operation, runner.execution)
        self._refer(runner.execution)

    def _ended(self, runner: ExecutionRunner, operation: str, done: asyncio.Task[None]) -> None:
        execution = runner.execution
        crash = None if done.cancelled() else done.exception()
        if not conditions.is_over(execution):
            text = (
                RESTARTED if crash is None else f"The emulator failed while it ran this execution: {crash!r}"
            )
            log.error("%s: %s", execution.name, text, exc_info=crash)
            runner.error = ApiError(text)
            self._abandon(execution, text)
        self._refer(execution)
        self._operations.end(operation, runner.error or execution, execution)
        self._report(execution)
        self._runners.pop(execution.name, None)
        self._running.pop(execution.name, None)

    def _refer(self, execution: Any, *, created: bool = False) -> None:
        """Show the execution in its job, if it is the job's latest."""
        job = self._store.get(Job, job_of(execution.name))
        if job is None:
            return
        reference = job.latest_created_execution
        if created:
            job.execution_count += 1
            reference.Clear()
            reference.name = short(execution.name)
            reference.create_time.CopyFrom(execution.create_time)
            tokened = f"{short(job.name)}-{templates.token(job)}"
            if reference.name != tokened:  # an execution that started otherwise drops the token
                for field in templates.TOKENS:
                    job.ClearField(field)
        status = completion_status(execution)
        if reference.name != short(execution.name) or (reference.completion_status == status and not created):
            return
        reference.completion_status = status
        if execution.HasField("completion_time"):
            reference.completion_time.CopyFrom(execution.completion_time)
        self._store.put(job)

    def _report(self, execution: Any) -> None:
        self._parts.logs.ended(execution, self._store.get(Job, job_of(execution.name)))

    def find(self, name: str) -> Any:
        """The execution, live if it runs; NotFound otherwise."""
        runner = self._runners.get(name)
        execution = runner.execution if runner else self._store.get(Execution, name)
        if execution is None:
            raise missing("EXECUTION", name)
        return execution

    def cancel(self, name: str, reason: ExecutionReason = ExecutionReason.CANCELLING) -> Operation:
        """Ask a running execution to stop; the operation is done when it has."""
        execution = self.find(name)
        runner = self._runners.get(name)
        if runner is None or conditions.is_over(execution):
            raise FailedPrecondition(f"Execution '{short(name)}' has already completed.")
        if not runner.cancel.is_set():
            life.mark_cancelling(execution, reason)
            runner.cancel.set()
            runner.save()
        operation = self._operations.begin(location(name), execution)
        self._running[name].add_done_callback(
            lambda _: self._operations.end(operation.name, execution, execution)
        )
        return operation

    def delete(self, name: str) -> Operation:
        """Delete an execution and its tasks; one that runs is stopped first."""
        execution = self.find(name)
        running = self._running.get(name)
        life.mark_deleted(execution)
        if running is None:
            self._forget(execution)
            return self._operations.finished(location(name), execution)
        if not self._runners[name].cancel.is_set():
            life.mark_cancelling(execution, ExecutionReason.DELETED)
            self._runners[name].cancel.set()
        self._runners[name].save()
        operation = self._operations.begin(location(name), execution)

        def gone(_: asyncio.Task[None]) -> None:
            self._forget(execution)
            self._operations.end(operation.name, execution, execution)

        running.add_done_callback(gone)
        return operation

    def delete_all(self, job: str) -> list[asyncio.Task[None]]:
        """Delete a job's executions; the answer holds those that still stop."""
        for _, execution in self._store.page(Execution, job):
            self.delete(execution.name)
        return [task for name, task in self._running.items() if job_of(name) == job]

    def _forget(self, execution: Any) -> None:
        self._store.put(execution, deleted=True)
        for _, task in self._store.page(Task, execution.name):
            self._store.remove(Task, task.name)

    def running(self, name: str) -> asyncio.Task[None] | None:
        return self._running.get(name)

    def recover(self) -> None:
        """After a start from saved state: what ran when the last process died has failed."""
        for execution in self._store.all(Execution):
            if not conditions.is_over(execution):
                self._abandon(execution, RESTARTED)
                self._refer(execution)
                self._report(execution)
        for operation in self._operations.open():
            self._operations.end(operation.name, ApiError(RESTARTED))

    def _abandon(self, execution: Any, text: str) -> None:
        """Fail an execution that nothing runs any more, and its tasks."""
        for _, task in self._store.page(Task, execution.name):
            if not conditions.is_over(task):
                life.task_ended(task, ApiError(text).number, text, 0)
                self._store.put(task)
        execution.running_count = 0
        execution.failed_count = execution.task_count - execution.succeeded_count - execution.cancelled_count
        life.mark_failed(execution, text, Reason.INTERNAL)
        self._store.put(execution)

    async def close(self) -> None:
        """Stop every execution and wait until its processes are gone."""
        self._closing = True
        for runner in self._runners.values():
            runner.cancel.set()
        if self._running:
            await asyncio.wait(self._running.values())


def completion_status(execution: Any) -> int:
    """google.cloud.run.v2.ExecutionReference.CompletionStatus of an execution."""
    condition = conditions.completed(execution)
    if not conditions.is_over(execution):
        return RUNNING if execution.HasField("start_time") else PENDING
    if condition.state == conditions.State.SUCCEEDED:
        return SUCCEEDED
    return CANCELLED if condition.execution_reason == ExecutionReason.CANCELLED else FAILED
