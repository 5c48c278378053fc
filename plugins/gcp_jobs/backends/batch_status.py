"""google.cloud.batch_v1.Job and Task -> JobStatus and ExitInfo (states: CONTRACTS, "States")."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from google.cloud import batch_v1

from gcp_jobs.model import TERMINAL, ExitInfo, JobRef, JobState, JobStatus, TaskCounts
from gcp_jobs.names import RUN_KEY_LABEL
from gcp_jobs.stragglers import TaskSight

GROUP = "group0"  # a job has exactly one task group, and Batch gives it this name
# https://cloud.google.com/batch/docs/troubleshooting: words of status events that name the cause themselves
_REASON = re.compile(
    r"CODE_[A-Z_]+|ZONE_RESOURCE_POOL_EXHAUSTED(?:_WITH_DETAILS)?|RESOURCE_EXHAUSTED|PERMISSION_DENIED|constraints/[\w.]+"
)
_EXIT_CODE = re.compile(r"exit code (\d+)")
_TASK_TO_STATE = re.compile(r"Task state is updated from \w+ to (\w+)")
_TO_STATE = re.compile(r"Job state is set from \w+ to (\w+)")


def to_status(job: batch_v1.Job) -> JobStatus:
    """Read a job. Its status events, in no order of time, say when it started, what keeps it, and why it failed."""
    where = JobRef.parse(job.name, "batch")
    state = _state(job)
    events = list(job.status.status_events)
    failed, started = state is JobState.FAILED, _at(events, JobState.RUNNING.value)
    message = _message(events) if failed else "" if started else _want(events)
    ended = _at(events, state.value) or _time(job.update_time) if state in TERMINAL else None
    return JobStatus(
        ref=JobRef("batch", where.project, where.region, where.job, uid=job.uid),
        state=state,
        reason=found[0] if failed and (found := _REASON.search(message)) else "",
        message=message,
        created=_time(job.create_time),
        started=started,
        ended=ended,
        counts=_counts(job),
        run_key=job.labels.get(RUN_KEY_LABEL, ""),
        topics=tuple(_topics(job)),
    )


def _topics(job: batch_v1.Job) -> Iterator[str]:
    changed = batch_v1.JobNotification.Type.JOB_STATE_CHANGED
    for wanted in job.notifications:
        if wanted.message.type_ == changed and not wanted.message.new_job_state:
            yield wanted.pubsub_topic


def to_exit_info(tasks: Iterable[batch_v1.Task], message: str = "") -> ExitInfo:
    """Take the exit of the first task that failed; where no task tells, what the job's own event says of one."""
    failed = batch_v1.TaskStatus.State.FAILED
    ends = []
    for task in tasks:
        events = [e for e in task.status.status_events if _code(e) is not None]
        if task.status.state == failed and events:
            last = max(events, key=lambda e: _time(e.event_time) or datetime.min)
            ends.append((int(task.name.rpartition("/")[2]), last))
    if ends:
        index, event = min(ends, key=lambda end: end[0])
        return ExitInfo(code=_code(event), task=index, message=event.description)
    told = _EXIT_CODE.search(message)
    index_told = re.search(r"task with index (\d+)", message)
    return ExitInfo(
        code=int(told[1]) if told else None, task=int(index_told[1]) if index_told else None, message=message
    )


def to_failed(tasks: Iterable[batch_v1.Task]) -> tuple[int, ...]:
    """Give the indices of the tasks that did not succeed."""
    done = batch_v1.TaskStatus.State.SUCCEEDED
    return tuple(sorted(int(t.name.rpartition("/")[2]) for t in tasks if t.status.state != done))


def to_sights(tasks: Iterable[batch_v1.Task]) -> Iterator[TaskSight]:
    """Read when each task began its present attempt, ended, and changed last; its events come in no order of time."""
    states = batch_v1.TaskStatus.State
    over = (states.SUCCEEDED, states.FAILED, states.UNEXECUTED)
    for task in tasks:
        seen = [
            (at, _TASK_TO_STATE.search(e.description))
            for e in task.status.status_events
            if (at := _time(e.event_time))
        ]
        began = max((at for at, to in seen if to and to[1] == "RUNNING"), default=None)
        last = max((at for at, _ in seen), default=None)
        ended = last if task.status.state in over else None
        yield TaskSight(int(task.name.rpartition("/")[2]), began, ended, last)


def _state(job: batch_v1.Job) -> JobState:
    """A job that has no state yet is about to be queued."""
    name = batch_v1.JobStatus.State(job.status.state).name
    return JobState(name) if name in JobState.__members__ else JobState.QUEUED


def _message(events: list[batch_v1.StatusEvent]) -> str:
    """What the event says that ended the job, else the newest event."""
    ordered = sorted(events, key=lambda e: _time(e.event_time) or datetime.min)
    ending = [e for e in ordered if _reached(e) == JobState.FAILED.value]
    last = (ending or ordered)[-1:]
    return last[0].description if last else ""


def _want(events: list[batch_v1.StatusEvent]) -> str:
    """What a job that has not started is short of: its newest event beside changes of state."""
    others = [e for e in events if not _reached(e)]
    last = max(others, key=lambda e: _time(e.event_time) or datetime.min, default=None)
    return last.description if last else ""


def _at(events: list[batch_v1.StatusEvent], state: str) -> datetime | None:
    times = [_time(e.event_time) for e in events if _reached(e) == state]
    return min((t for t in times if t), default=None)


def _reached(event: batch_v1.StatusEvent) -> str:
    found = _TO_STATE.search(event.description)
    return found[1] if found else ""


def _code(event: batch_v1.StatusEvent) -> int | None:
    """The exit code of an attempt that failed: the field where it is set, else the event's words."""
    if event.task_execution.exit_code:
        return int(event.task_execution.exit_code)
    found = _EXIT_CODE.search(event.description)
    return int(found[1]) if found else None


def _counts(job: batch_v1.Job) -> TaskCounts:
    group = job.status.task_groups.get(GROUP)
    counts = dict(group.counts) if group else {}
    return TaskCounts(
        total=sum(g.task_count for g in job.task_groups) or 1,
        succeeded=counts.get("SUCCEEDED", 0),
        failed=counts.get("FAILED", 0),
        cancelled=counts.get("UNEXECUTED", 0),
    )


def _time(value: Any) -> datetime | None:
    return datetime.fromtimestamp(value.timestamp(), value.tzinfo) if value else None
