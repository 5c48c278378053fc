"""google.cloud.run_v2.Execution and Task -> JobStatus and ExitInfo (states: CONTRACTS, "States")."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from google.cloud import run_v2

from gcp_jobs.backends.base import RUN_KEY, START_TOKEN
from gcp_jobs.model import ExitInfo, JobRef, JobState, JobStatus, TaskCounts
from gcp_jobs.stragglers import TaskSight

_Reason = run_v2.Condition.ExecutionReason
_State = run_v2.Condition.State


def to_status(execution: run_v2.Execution) -> JobStatus:
    """Read an execution. The condition `Completed` decides; without it start_time does."""
    condition = next((c for c in execution.conditions if c.type_ == "Completed"), run_v2.Condition())
    return JobStatus(
        ref=JobRef.parse(execution.name),
        state=_state(execution, condition),
        reason=_reason(condition),
        message=condition.message,
        created=_time(execution.create_time),
        started=_time(execution.start_time),
        ended=_time(execution.completion_time),
        counts=TaskCounts(
            total=execution.task_count,
            succeeded=execution.succeeded_count,
            failed=execution.failed_count,
            cancelled=execution.cancelled_count,
            retried=execution.retried_count,
        ),
        log_uri=execution.log_uri,
        run_key=_run_key(execution),
    )


def _state(execution: run_v2.Execution, condition: run_v2.Condition) -> JobState:
    reason = condition.execution_reason
    if condition.state == _State.CONDITION_SUCCEEDED:
        return JobState.SUCCEEDED
    if condition.state == _State.CONDITION_FAILED:
        return JobState.CANCELLED if reason == _Reason.CANCELLED else JobState.FAILED
    if execution.delete_time or reason == _Reason.DELETED:
        return JobState.DELETION_IN_PROGRESS
    if reason == _Reason.CANCELLING:
        return JobState.CANCELLATION_IN_PROGRESS
    if not execution.start_time or reason == _Reason.DELAYED_START_PENDING:
        return JobState.QUEUED
    return JobState.RUNNING


def _reason(condition: run_v2.Condition) -> str:
    for reason in (condition.execution_reason, condition.reason):
        if reason:
            return str(getattr(reason, "name", reason))
    return ""


def _run_key(execution: run_v2.Execution) -> str:
    """Give the key of a run of ours; a definition that a token left behind may be run by hand, key and all."""
    env = {each.name: each.value for container in execution.template.containers for each in container.env}
    return env.get(RUN_KEY, "") if execution.name.endswith(env.get(START_TOKEN, "")) else ""


def _time(value: Any) -> datetime | None:
    return datetime.fromtimestamp(value.timestamp(), value.tzinfo) if value else None


def to_exit_info(tasks: Iterable[run_v2.Task]) -> ExitInfo:
    """Take the exit of the first task that failed, else of the first with an attempt."""
    attempted = sorted((t for t in tasks if "last_attempt_result" in t), key=lambda t: t.index)
    failed = [t for t in attempted if _code(t) != 0]
    if not attempted:
        return ExitInfo()
    decisive = (failed or attempted)[0]
    result = decisive.last_attempt_result
    return ExitInfo(
        code=result.exit_code,
        signal=result.term_signal or None,
        task=decisive.index,
        message=result.status.message,
    )


def _code(task: run_v2.Task) -> int:
    result = task.last_attempt_result
    return int(result.exit_code or result.term_signal or result.status.code)


def to_failed(tasks: Iterable[run_v2.Task]) -> tuple[int, ...]:
    """Give the indices of the tasks that did not succeed."""
    return tuple(sorted(task.index for task in tasks if not _succeeded(task)))


def to_sights(tasks: Iterable[run_v2.Task]) -> Iterator[TaskSight]:
    """Read when each task started, ended, and changed last."""
    for task in tasks:
        yield TaskSight(
            task.index, _time(task.start_time), _time(task.completion_time), _time(task.update_time)
        )


def _succeeded(task: run_v2.Task) -> bool:
    return any(c.type_ == "Completed" and c.state == _State.CONDITION_SUCCEEDED for c in task.conditions)
