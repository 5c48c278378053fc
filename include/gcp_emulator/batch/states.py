"""The states of jobs and tasks, and which may follow which.

https://cloud.google.com/batch/docs/job-and-task-states (the meanings), google.cloud.batch.v1 (the numbers).
"""

from enum import IntEnum


class JobState(IntEnum):
    """google.cloud.batch.v1.JobStatus.State"""

    STATE_UNSPECIFIED = 0
    QUEUED = 1
    SCHEDULED = 2
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    DELETION_IN_PROGRESS = 6
    CANCELLATION_IN_PROGRESS = 7
    CANCELLED = 8


class TaskState(IntEnum):
    """google.cloud.batch.v1.TaskStatus.State"""

    STATE_UNSPECIFIED = 0
    PENDING = 1
    ASSIGNED = 2
    RUNNING = 3
    FAILED = 4
    SUCCEEDED = 5
    UNEXECUTED = 6


_STOPPING = {JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS}
NEXT_JOB_STATES: dict[JobState, frozenset[JobState]] = {
    JobState.STATE_UNSPECIFIED: frozenset({JobState.QUEUED}),
    JobState.QUEUED: frozenset({JobState.SCHEDULED, JobState.FAILED, *_STOPPING}),
    JobState.SCHEDULED: frozenset({JobState.RUNNING, JobState.FAILED, *_STOPPING}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, *_STOPPING}),
    JobState.CANCELLATION_IN_PROGRESS: frozenset({JobState.CANCELLED, JobState.DELETION_IN_PROGRESS}),
    JobState.SUCCEEDED: frozenset({JobState.DELETION_IN_PROGRESS}),
    JobState.FAILED: frozenset({JobState.DELETION_IN_PROGRESS}),
    JobState.CANCELLED: frozenset({JobState.DELETION_IN_PROGRESS}),
    JobState.DELETION_IN_PROGRESS: frozenset(),
}
FINAL_JOB_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

# FAILED leads back to PENDING when the task is tried again.
NEXT_TASK_STATES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.ASSIGNED, TaskState.FAILED, TaskState.UNEXECUTED}),
    TaskState.ASSIGNED: frozenset({TaskState.RUNNING, TaskState.FAILED}),
    TaskState.RUNNING: frozenset({TaskState.SUCCEEDED, TaskState.FAILED}),
    TaskState.FAILED: frozenset({TaskState.PENDING}),
    TaskState.SUCCEEDED: frozenset(),
    TaskState.UNEXECUTED: frozenset(),
}
FINAL_TASK_STATES = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.UNEXECUTED})


class IllegalTransition(Exception):
    """A state that may not follow: an error of the emulator, never of a caller."""

    def __init__(self, name: str, old: IntEnum, new: IntEnum) -> None:
        super().__init__(f"{name} cannot go from {old.name} to {new.name}")
