"""Creates, cancels and deletes jobs, and keeps their operations in step."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from google.protobuf import empty_pb2

from gcp_emulator.batch.defaults import new_job
from gcp_emulator.batch.job import STOPPED, JobRunner
from gcp_emulator.batch.names import check_job_id, exists, group_of, missing, new_job_id
from gcp_emulator.batch.parts import Parts
from gcp_emulator.batch.recovery import end_operations, recover_job
from gcp_emulator.batch.states import FINAL_JOB_STATES, JobState
from gcp_emulator.batch.status import job_state
from gcp_emulator.errors import FailedPrecondition, Unavailable
from gcp_emulator.messages import BATCH, BatchJob, BatchTask, Operation, OperationMetadata, message_class, now
from gcp_emulator.run.names import location
from gcp_emulator.services.operations import Operations

log = logging.getLogger(__name__)
CHUNK = 500


class Engine:
    """All Batch jobs of one emulator."""

    def __init__(self, parts: Parts, operations: Operations) -> None:
        self._parts = parts
        self._store = parts.store
        self._operations = operations
        self._slots = asyncio.Semaphore(parts.at_once)
        self._runners: dict[str, JobRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def create(self, parent: str, job_id: str, given: Any) -> Any:
        """Admit a job that was checked; AlreadyExists when its id is taken."""
        if self._closing:
            raise Unavailable("The emulator is stopping.")
        if job_id:
            check_job_id(job_id)
        name = f"{parent}/jobs/{job_id or new_job_id()}"
        if self._store.get(BatchJob, name) is not None:
            raise exists(name)
        job = new_job(name, given, self._parts.around.default_service_account)
        runner = self._runners[name] = JobRunner(job, self._parts)
        runner.admit()
        running = asyncio.create_task(runner.run(self._slots), name=name)
        self._running[name] = running
        running.add_done_callback(lambda done: self._ended(runner, done))
        return job

    def find(self, name: str) -> Any:
        """The job as it is now; NotFound otherwise."""
        job = self.live(name) or self._store.get(BatchJob, name)
        if job is None:
            raise missing(name)
        return job

    def live(self, name: str) -> Any | None:
        """A job that has not ended, with its run duration up to date."""
        runner = self._runners.get(name)
        if runner is None:
            return None
        runner.refresh()
        return runner.job

    def runners(self) -> Iterator[JobRunner]:
        """The jobs that have not ended."""
        return iter(list(self._runners.values()))

    def cancel(self, name: str) -> Operation:
        """Stop a job; its operation is done when the job is CANCELLED. FailedPrecondition when it has ended."""
        job = self.find(name)
        runner, state = self._runners.get(name), job_state(job)
        if runner is None or state is JobState.DELETION_IN_PROGRESS or state in FINAL_JOB_STATES:
            raise FailedPrecondition(f"Job '{name}' cannot be cancelled: its state is {state.name}")
        if state is not JobState.CANCELLATION_IN_PROGRESS:
            runner.stop(JobState.CANCELLATION_IN_PROGRESS)
        return self._operation(name, "cancel", message_class(f"{BATCH}.CancelJobResponse")())

    def delete(self, name: str) -> Operation:
        """Delete a job, stopped first if it runs; its operation is done when the job is gone."""
        job = self.find(name)
        runner = self._runners.get(name)
        if runner is None:
            runner = self._runners[name] = JobRunner(job, self._parts)
            runner.stop(JobState.DELETION_IN_PROGRESS)
            running = asyncio.create_task(asyncio.sleep(self._parts.delay_s), name=f"delete {name}")
            self._running[name] = running
            running.add_done_callback(lambda done: self._ended(runner, done))
        elif job_state(job) is not JobState.DELETION_IN_PROGRESS:
            runner.stop(JobState.DELETION_IN_PROGRESS)
        return self._operation(name, "delete", empty_pb2.Empty())

    def operation(self, name: str) -> Operation | None:
        """An operation by its name, as it is now."""
        operation: Operation | None = self._store.get(Operation, name)
        return operation

    def _operation(self, name: str, verb: str, response: Any) -> Operation:
        metadata = OperationMetadata(target=name, verb=verb, api_version="v1", create_time=now())
        operation = self._operations.begin(location(name), metadata)

        def done(_: asyncio.Task[None]) -> None:
            metadata.end_time.CopyFrom(now())
            self._operations.end(operation.name, response, metadata)

        self._running[name].add_done_callback(done)
        return operation

    def _ended(self, runner: JobRunner, done: asyncio.Task[None]) -> None:
        name = runner.job.name
        crash = None if done.cancelled() else done.exception()
        if crash is not None:
            log.error("%s: the emulator failed to run it", name, exc_info=crash)
            runner.fail(f"The emulator failed while it ran this job: {crash!r}")
        if job_state(runner.job) is JobState.DELETION_IN_PROGRESS:
            self._forget(name)
        self._runners.pop(name, None)
        self._running.pop(name, None)

    def _forget(self, name: str) -> None:
        self._store.remove(BatchJob, name)
        self._store.remove_below(BatchTask, group_of(name))

    def recover(self) -> None:
        """After a start from saved state: what did not end with the last process ends now."""
        position: int | None = 0
        while position is not None:
            rows = self._store.page(
                BatchJob, "projects/-/locations/-", beyond=position, limit=CHUNK, oldest_first=True
            )
            position = rows[-1][0] if rows else None
            for _, job in rows:
                if job_state(job) is JobState.DELETION_IN_PROGRESS:
                    self._forget(job.name)
                elif job_state(job) not in FINAL_JOB_STATES:
                    recover_job(job, self._parts, STOPPED)
        end_operations(self._operations)

    async def close(self) -> None:
        """Stop every job and wait until its processes are gone."""
        self._closing = True
        for runner in self.runners():
            if job_state(runner.job) not in FINAL_JOB_STATES:
                runner.stop(JobState.FAILED)
        if self._running:
            await asyncio.wait(self._running.values())
