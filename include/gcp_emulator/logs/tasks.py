"""Log entries of job tasks, with the resource and labels that Cloud Run gives them."""

from typing import Any
from urllib.parse import quote

from gcp_emulator.logs.audit import execution_ended
from gcp_emulator.logs.store import EXECUTION_LABEL, LogStore
from gcp_emulator.logs.structured import SEVERITIES, write_line
from gcp_emulator.messages import LogEntry
from gcp_emulator.run.names import project, region

SYSTEM = "varlog/system"


class TaskLogs:
    """Writes what tasks print, and what the platform says about them and their executions."""

    def __init__(self, store: LogStore, project_number: str) -> None:
        self._store = store
        self._project_number = project_number

    def line(self, task: Any, attempt: int, container: str, stream: str, text: str) -> None:
        """One line of a container's `stdout` or `stderr`; empty lines are no entries."""
        if not text.strip():
            return
        entry = _entry(task, attempt, stream)
        if len(task.containers) > 1:
            entry.labels["container_name"] = container
        write_line(entry, text)
        self._store.add(entry)

    def system(self, task: Any, attempt: int, severity: str, text: str) -> None:
        """One line of the platform's own log."""
        entry = _entry(task, attempt, SYSTEM)
        entry.severity = SEVERITIES[severity]
        entry.text_payload = text
        self._store.add(entry)

    def ended(self, execution: Any, job: Any) -> None:
        """The audit entry of an execution that is over; `job` is None when it is gone."""
        self._store.add(execution_ended(execution, job, self._project_number))


def _entry(task: Any, attempt: int, log: str) -> Any:
    project_id = project(task.name)
    entry = LogEntry(log_name=f"projects/{project_id}/logs/{quote(f'run.googleapis.com/{log}', safe='')}")
    entry.resource.type = "cloud_run_job"
    entry.resource.labels.update(project_id=project_id, location=region(task.name), job_name=task.job)
    entry.labels.update(task.labels)
    entry.labels.update(
        {
            EXECUTION_LABEL: task.execution,
            "run.googleapis.com/task_index": str(task.index),
            "run.googleapis.com/task_attempt": str(attempt),
        }
    )
    return entry
