"""Makes executions and tasks, and writes down each step of their lives; pure messages, nothing runs here."""

import base64
import os
import urllib.parse
import uuid
from typing import Any

from gcp_emulator.messages import Execution, Task, Timestamp, now, seconds_between
from gcp_emulator.run import conditions
from gcp_emulator.run.conditions import ExecutionReason, Reason, State
from gcp_emulator.run.names import project, short

CONSOLE = "https://console.cloud.google.com/logs/viewer"
KEPT_DAYS = 30  # how long Google keeps what was deleted
TASK_FIELDS = (
    "containers", "volumes", "service_account", "execution_environment", "encryption_key", "vpc_access",
    "node_selector", "timeout",
)  # fmt: skip


def new_etag() -> str:
    return f'"{base64.urlsafe_b64encode(os.urandom(15)).decode()}"'


def touch(resource: Any) -> None:
    """A new version of the resource: update time and etag."""
    resource.update_time.CopyFrom(now())
    resource.etag = new_etag()


def mark_deleted(resource: Any) -> None:
    touch(resource)
    resource.delete_time.CopyFrom(resource.update_time)
    resource.expire_time.CopyFrom(
        Timestamp(seconds=resource.delete_time.seconds + KEPT_DAYS * 86400, nanos=resource.delete_time.nanos)
    )


def create(job: Any, template: Any, execution_id: str, creator: str) -> Any:
    """An execution that waits for its start."""
    execution = Execution(
        name=f"{job.name}/executions/{execution_id}",
        uid=str(uuid.uuid4()),
        creator=creator,
        generation=1,
        job=short(job.name),
        task_count=template.task_count,
        parallelism=min(template.parallelism or template.task_count, template.task_count),
        launch_stage=job.launch_stage,
        reconciling=True,
        create_time=now(),
    )
    execution.labels.update(template.labels)
    execution.annotations.update(template.annotations)
    execution.template.CopyFrom(template.template)
    execution.log_uri = log_uri(execution)
    conditions.put(execution, conditions.COMPLETED, State.PENDING, "Waiting for execution to start.")
    conditions.put(execution, conditions.RESOURCES_AVAILABLE, State.PENDING)
    touch(execution)
    return execution


def create_task(execution: Any, index: int) -> Any:
    task = Task(
        name=f"{execution.name}/tasks/{short(execution.name)}-task{index}",
        uid=str(uuid.uuid4()),
        generation=1,
        job=execution.job,
        execution=short(execution.name),
        index=index,
        max_retries=execution.template.max_retries,
        reconciling=True,
        create_time=now(),
    )
    task.labels.update(execution.labels)
    task.annotations.update(execution.annotations)
    given = type(execution.template)()
    given.CopyFrom(execution.template)
    for field in TASK_FIELDS:
        value = getattr(given, field)
        if hasattr(value, "extend"):
            getattr(task, field).extend(value)
        elif hasattr(value, "CopyFrom"):
            if given.HasField(field):
                getattr(task, field).CopyFrom(value)
        else:
            setattr(task, field, value)
    task.log_uri = execution.log_uri
    conditions.put(task, conditions.COMPLETED, State.PENDING)
    touch(task)
    return task


def log_uri(execution: Any) -> str:
    """The page of the Cloud Console that would show the execution's logs."""
    query = (
        'resource.type="cloud_run_job"\n'
        f'resource.labels.job_name="{execution.job}"\n'
        f'labels."run.googleapis.com/execution_name"="{short(execution.name)}"'
    )
    fields = {"project": project(execution.name), "advancedFilter": query}
    return f"{CONSOLE}?{urllib.parse.urlencode(fields)}"


def mark_started(execution: Any) -> None:
    """Containers are there and the first task starts."""
    moment = now()
    execution.start_time.CopyFrom(moment)
    waited = conditions.in_seconds(seconds_between(execution.create_time, moment))
    conditions.put(execution, conditions.COMPLETED, State.RECONCILING, "Waiting for execution to complete.")
    conditions.put(
        execution, conditions.RESOURCES_AVAILABLE, State.SUCCEEDED, "Provisioned imported containers."
    )
    conditions.put(execution, conditions.STARTED, State.SUCCEEDED, f"Started deployed execution in {waited}.")
    conditions.put(
        execution, conditions.CONTAINER_READY, State.SUCCEEDED, f"Imported container image in {waited}."
    )
    touch(execution)


def mark_cancelling(execution: Any, reason: ExecutionReason = ExecutionReason.CANCELLING) -> None:
    execution.generation += 1
    conditions.put(
        execution, conditions.COMPLETED, State.RECONCILING, "Waiting for execution to be cancelled.", reason
    )
    touch(execution)


def _complete(resource: Any) -> None:
    resource.reconciling = False
    resource.observed_generation = resource.generation
    resource.completion_time.CopyFrom(now())
    touch(resource)


def mark_succeeded(execution: Any) -> None:
    _complete(execution)
    took = seconds_between(execution.start_time, execution.completion_time)
    conditions.put(
        execution,
        conditions.COMPLETED,
        State.SUCCEEDED,
        f"Execution completed successfully in {conditions.in_seconds(took)}.",
    )


def mark_failed(execution: Any, message: str, reason: Reason | ExecutionReason | None = None) -> None:
    _complete(execution)
    conditions.put(execution, conditions.COMPLETED, State.FAILED, message, reason)


def mark_cancelled(execution: Any) -> None:
    execution.cancelled_count = execution.task_count - execution.succeeded_count - execution.failed_count
    mark_failed(execution, "Cancelled by user.", ExecutionReason.CANCELLED)


def task_started(task: Any, attempt: int) -> None:
    """An attempt begins; the first one sets the task's start."""
    moment = now()
    task.retried = attempt
    if not task.HasField("start_time"):
        task.scheduled_time.CopyFrom(moment)
        task.start_time.CopyFrom(moment)
    conditions.put(task, conditions.STARTED, State.SUCCEEDED)
    conditions.put(task, conditions.COMPLETED, State.RECONCILING)
    touch(task)


def task_ended(task: Any, code: int, message: str, exit_code: int) -> None:
    """The last attempt's result is final; code 0 is success (google.rpc.Code)."""
    task_attempted(task, code, message, exit_code)
    _complete(task)
    state = State.FAILED if code else State.SUCCEEDED
    conditions.put(task, conditions.COMPLETED, state, message)


def task_attempted(task: Any, code: int, message: str, exit_code: int) -> None:
    result = task.last_attempt_result
    result.Clear()
    result.status.code = code
    result.status.message = message if code else ""
    result.exit_code = exit_code
