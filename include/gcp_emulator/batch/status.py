"""A job's and a task's status: states, events in Batch's words, counts.

The wording is that of https://cloud.google.com/batch/docs/troubleshooting and of jobs that ran.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gcp_emulator.batch.names import GROUP
from gcp_emulator.batch.states import (
    NEXT_JOB_STATES,
    NEXT_TASK_STATES,
    IllegalTransition,
    JobState,
    TaskState,
)
from gcp_emulator.messages import Timestamp, now

STATUS_CHANGED = "STATUS_CHANGED"
OPERATIONAL_INFO = "OPERATIONAL_INFO"
MAX_EVENTS = 100  # of a job that is retried or short of machines for long: the oldest go


def job_state(job: Any) -> JobState:
    return JobState(job.status.state)


def task_state(task: Any) -> TaskState:
    return TaskState(task.status.state)


def set_job_state(job: Any, state: JobState, number: str, reason: str = "") -> str:
    """Move a job on; the event's text. `number` is the project's number, which events print."""
    old = job_state(job)
    if state not in NEXT_JOB_STATES[old]:
        raise IllegalTransition(job.name, old, state)
    job.status.state = state
    job.update_time.CopyFrom(now())
    parts = job.name.split("/")
    parts[1] = number
    text = f"Job state is set from {old.name} to {state.name} for job {'/'.join(parts)}.{reason}"
    if old is not JobState.STATE_UNSPECIFIED:
        add_event(job.status, STATUS_CHANGED, text, job.update_time)
    return text


def set_task_state(
    task: Any, state: TaskState, where: str = "", why: str = "", code: int | None = None
) -> str:
    """Move a task on; the event's text, which `where` (an instance), `why` and the exit code complete."""
    old = task_state(task)
    if state not in NEXT_TASK_STATES[old]:
        raise IllegalTransition(task.name, old, state)
    task.status.state = state
    text = f"Task state is updated from {old.name} to {state.name}"
    text += f" on {where}" if where else ""
    text += f" due to {why}" if why else ""
    text += f" with exit code {code}" if code is not None else ""
    event = add_event(task.status, STATUS_CHANGED, f"{text}.", now())
    event.task_state = state
    if code is not None:
        event.task_execution.exit_code = code
    return f"{text}."


def add_event(status: Any, kind: str, text: str, when: Timestamp | None = None) -> Any:
    """Append an event to the status of a job or a task."""
    if len(status.status_events) >= MAX_EVENTS:
        del status.status_events[1]  # the first one says when it was scheduled
    event = status.status_events.add(type_=kind, description=text)
    event.event_time.CopyFrom(when or now())
    return event


def set_counts(job: Any, states: Iterable[TaskState]) -> None:
    """How many tasks are in which state; states without tasks are left out."""
    counts = job.status.task_groups[GROUP].counts
    counts.clear()
    for state, count in Counter(states).items():
        counts[state.name] = count


def count_move(job: Any, old: TaskState, new: TaskState) -> None:
    """One task went from one state to another."""
    counts = job.status.task_groups[GROUP].counts
    counts[new.name] += 1
    if counts[old.name] > 1:
        counts[old.name] -= 1
    else:
        del counts[old.name]
