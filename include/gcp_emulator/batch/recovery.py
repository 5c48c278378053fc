"""Ends what a process that is gone had begun."""

from typing import Any

from google.protobuf import empty_pb2

from gcp_emulator.batch.names import group_of
from gcp_emulator.batch.parts import Parts
from gcp_emulator.batch.states import JobState, TaskState
from gcp_emulator.batch.status import count_move, job_state, set_job_state, set_task_state, task_state
from gcp_emulator.messages import BATCH, BatchTask, OperationMetadata, message_class, now
from gcp_emulator.services.operations import Operations

LEFT = {
    TaskState.PENDING: TaskState.UNEXECUTED,
    TaskState.ASSIGNED: TaskState.FAILED,
    TaskState.RUNNING: TaskState.FAILED,
}
CUT_OFF = "the emulator's stop"


def recover_job(job: Any, parts: Parts, text: str) -> None:
    """A job that was being cancelled is CANCELLED, any other FAILED with this text; consumers are told."""
    for _, task in parts.store.page(BatchTask, group_of(job.name)):
        old = task_state(task)
        if old in LEFT:
            set_task_state(task, LEFT[old], why=CUT_OFF)
            count_move(job, old, LEFT[old])
            parts.store.put(task)
    if job_state(job) is JobState.CANCELLATION_IN_PROGRESS:
        said = set_job_state(job, JobState.CANCELLED, parts.project_number)
    else:
        said = set_job_state(job, JobState.FAILED, parts.project_number, text)
    parts.notifier.job_changed(job, said)
    parts.store.put(job)


def end_operations(operations: Operations) -> None:
    """Cancellations and deletions have come true by now."""
    for operation in operations.open():
        metadata = OperationMetadata()
        if operation.metadata.Unpack(metadata):
            metadata.end_time.CopyFrom(now())
            cancelled = metadata.verb == "cancel"
            response = message_class(f"{BATCH}.CancelJobResponse")() if cancelled else empty_pb2.Empty()
            operations.end(operation.name, response, metadata)
