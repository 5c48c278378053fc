"""States and counts in words, as the pages show them."""

from typing import Any

from grpc import StatusCode

from gcp_emulator.batch.states import TaskState
from gcp_emulator.batch.status import job_state, task_state
from gcp_emulator.messages import Timestamp
from gcp_emulator.run import conditions
from gcp_emulator.run.engine import CANCELLED, FAILED, PENDING, RUNNING, SUCCEEDED, completion_status

EXECUTION = {
    RUNNING: "RUNNING",
    PENDING: "PENDING",
    SUCCEEDED: "SUCCEEDED",
    FAILED: "FAILED",
    CANCELLED: "CANCELLED",
}
COUNTS = ("running", "succeeded", "failed", "cancelled")


def moment(timestamp: Timestamp) -> str:
    """A time in UTC to the second, or nothing when it is not set."""
    return timestamp.ToJsonString()[:19] + "Z" if timestamp.seconds else ""


def execution_state(execution: Any) -> str:
    return EXECUTION[completion_status(execution)]


def execution_counts(execution: Any) -> str:
    """`4: 1 running, 3 succeeded`"""
    counts = [(getattr(execution, f"{word}_count"), word) for word in COUNTS]
    parts = [f"{count} {word}" for count, word in counts if count]
    return f"{execution.task_count}: {', '.join(parts)}" if parts else str(execution.task_count)


def run_task_state(task: Any) -> str:
    if not conditions.is_over(task):
        return "RUNNING" if task.HasField("start_time") else "PENDING"
    if conditions.completed(task).state == conditions.State.SUCCEEDED:
        return "SUCCEEDED"
    cancelled = task.last_attempt_result.status.code == StatusCode.CANCELLED.value[0]
    return "CANCELLED" if cancelled else "FAILED"


def run_task_exit(task: Any) -> str:
    """The last attempt's exit code, once there is one."""
    return str(task.last_attempt_result.exit_code) if task.HasField("last_attempt_result") else ""


def batch_state(job: Any) -> str:
    return job_state(job).name


def batch_counts(job: Any) -> str:
    """As `execution_counts`, with Batch's own states."""
    group = job.task_groups[0]
    counts = job.status.task_groups[group.name.rpartition("/")[2]].counts if job.status.task_groups else {}
    parts = [f"{count} {state.lower()}" for state, count in sorted(counts.items()) if count]
    return f"{group.task_count}: {', '.join(parts)}" if parts else str(group.task_count)


def batch_task_state(task: Any) -> str:
    return task_state(task).name


def batch_task_exits(task: Any) -> str:
    """The exit codes of all attempts that ended, in order."""
    ended = [
        str(event.task_execution.exit_code)
        for event in task.status.status_events
        if event.task_state in (TaskState.FAILED, TaskState.SUCCEEDED)
    ]
    return ", ".join(ended)
