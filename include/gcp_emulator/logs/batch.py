"""Log entries of Batch jobs, with the resource and labels that Batch gives them.

https://cloud.google.com/batch/docs/analyze-job-using-logs: `batch_task_logs` holds what runnables print,
`batch_agent_logs` what Batch's agent on the machine says.
"""

from typing import Any

from gcp_emulator.logs.store import JOB_UID_LABEL, LogStore
from gcp_emulator.logs.structured import SEVERITIES, write_line
from gcp_emulator.messages import LogEntry
from gcp_emulator.run.names import project, region

TASK_LOG, AGENT_LOG = "batch_task_logs", "batch_agent_logs"
CLOUD_LOGGING = 1  # LogsPolicy.Destination


class BatchLogs:
    """Writes entries for jobs whose logs policy asks for Cloud Logging; others keep none here, as on Batch."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def line(self, job: Any, task_id: str, hostname: str, runnable: Any, stream: str, text: str) -> None:
        """One line of a runnable's `stdout` (INFO) or `stderr` (ERROR); empty lines are no entries."""
        if job.logs_policy.destination != CLOUD_LOGGING or not text.strip():
            return
        entry = _entry(job, task_id, hostname, TASK_LOG)
        entry.labels.update(runnable.labels)
        entry.severity = SEVERITIES["ERROR" if stream == "stderr" else "INFO"]
        write_line(entry, text)
        self._store.add(entry)

    def agent(self, job: Any, task_id: str, hostname: str, severity: str, text: str) -> None:
        """One line of the agent."""
        if job.logs_policy.destination != CLOUD_LOGGING:
            return
        entry = _entry(job, task_id, hostname, AGENT_LOG)
        entry.severity = SEVERITIES[severity]
        entry.text_payload = text
        self._store.add(entry)


def _entry(job: Any, task_id: str, hostname: str, log: str) -> Any:
    project_id = project(job.name)
    entry = LogEntry(log_name=f"projects/{project_id}/logs/{log}")
    if job.logs_policy.cloud_logging_option.use_generic_task_monitored_resource:
        entry.resource.type = "generic_task"
        entry.resource.labels.update(
            project_id=project_id, location=region(job.name), namespace="", job=job.uid, task_id=task_id
        )
    else:
        entry.resource.type = "batch.googleapis.com/Job"
        entry.resource.labels.update(resource_container=project_id, location=region(job.name), job_id=job.uid)
    entry.labels.update(job.labels)
    entry.labels.update(
        {
            JOB_UID_LABEL: job.uid,
            "task_group_name": job.task_groups[0].name,
            "task_id": task_id,
            "hostname": hostname,
        }
    )
    return entry
