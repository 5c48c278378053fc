"""Conditions of jobs, executions and tasks, with Cloud Run's types, reasons and texts."""

from enum import IntEnum
from typing import Any

from gcp_emulator.messages import Timestamp, now

COMPLETED = "Completed"
STARTED = "Started"
RESOURCES_AVAILABLE = "ResourcesAvailable"
CONTAINER_READY = "ContainerReady"
READY = "Ready"


class State(IntEnum):
    """google.cloud.run.v2.Condition.State"""

    PENDING = 1
    RECONCILING = 2
    FAILED = 3
    SUCCEEDED = 4


class Reason(IntEnum):
    """google.cloud.run.v2.Condition.CommonReason, as far as the emulator gives them."""

    CONTAINER_MISSING = 6
    SECRETS_ACCESS_CHECK_FAILED = 12
    WAITING_FOR_OPERATION = 13
    INTERNAL = 16


class ExecutionReason(IntEnum):
    """google.cloud.run.v2.Condition.ExecutionReason, as far as the emulator gives them."""

    NON_ZERO_EXIT_CODE = 2
    CANCELLED = 3
    CANCELLING = 4
    DELETED = 5


def write(
    condition: Any,
    kind: str,
    state: State,
    message: str = "",
    reason: Reason | ExecutionReason | None = None,
) -> None:
    """Replace what a condition says; the transition time moves only with the state."""
    moved = condition.state != state
    when: Timestamp = (
        now() if moved else Timestamp.FromString(condition.last_transition_time.SerializeToString())
    )
    condition.Clear()
    condition.type_ = kind
    condition.state = state
    condition.message = message
    condition.last_transition_time.CopyFrom(when)
    if isinstance(reason, ExecutionReason):
        condition.execution_reason = reason
    elif reason is not None:
        condition.reason = reason


def put(
    resource: Any,
    kind: str,
    state: State,
    message: str = "",
    reason: Reason | ExecutionReason | None = None,
) -> None:
    """Set the condition of this type on an execution or a task."""
    for condition in resource.conditions:
        if condition.type_ == kind:
            break
    else:
        condition = resource.conditions.add()
    write(condition, kind, state, message, reason)


def completed(resource: Any) -> Any:
    """The `Completed` condition of an execution or a task; each has one from the start."""
    return next(condition for condition in resource.conditions if condition.type_ == COMPLETED)


def is_over(resource: Any) -> bool:
    """Whether an execution or a task has reached its end."""
    return bool(resource.HasField("completion_time"))


def in_seconds(seconds: float) -> str:
    """`9.84s`, as the texts of conditions print durations."""
    return f"{max(seconds, 0.0):.2f}".rstrip("0").rstrip(".") + "s"
