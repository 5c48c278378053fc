"""The audit entry that Cloud Run writes when an execution has ended: what log sinks tell of completion by.

The shape is that of entries recorded on Google Cloud: the log `cloudaudit.googleapis.com/system_event`, the method
`/Jobs.RunJob`, the execution in the form of the v1 API as the response, and one sentence as the status.
"""

from typing import Any
from urllib.parse import quote

from google.protobuf import json_format

from gcp_emulator.logs.store import EXECUTION_LABEL
from gcp_emulator.logs.structured import SEVERITIES
from gcp_emulator.messages import AuditLog, LogEntry
from gcp_emulator.run import conditions
from gcp_emulator.run.knative import execution_json
from gcp_emulator.run.names import project, region, short

SYSTEM_EVENT = quote("cloudaudit.googleapis.com/system_event", safe="")
UNKNOWN = 2  # google.rpc.Code, as in the entries of failed executions


def execution_ended(execution: Any, job: Any, project_number: str) -> Any:
    """The LogEntry about an execution that is over; `job` is None when it is gone already."""
    project_id, name = project(execution.name), short(execution.name)
    succeeded = conditions.completed(execution).state == conditions.State.SUCCEEDED
    entry = LogEntry(log_name=f"projects/{project_id}/logs/{SYSTEM_EVENT}")
    entry.severity = SEVERITIES["INFO" if succeeded else "ERROR"]
    entry.resource.type = "cloud_run_job"
    entry.resource.labels.update(
        project_id=project_id, location=region(execution.name), job_name=execution.job
    )
    entry.labels[EXECUTION_LABEL] = name
    said = AuditLog(
        service_name="run.googleapis.com",
        method_name="/Jobs.RunJob",
        resource_name=f"namespaces/{project_id}/executions/{name}",
    )
    said.status.code = 0 if succeeded else UNKNOWN
    said.status.message = f"Execution {name} {_verdict(execution, succeeded)}"
    json_format.ParseDict(execution_json(execution, job, project_number), said.response)
    entry.proto_payload.Pack(said)
    return entry


def _verdict(execution: Any, succeeded: bool) -> str:
    if succeeded:
        return "has completed successfully."
    done = f"{execution.succeeded_count}/{execution.task_count}"
    return f"has failed to complete, {done} tasks were a success."
