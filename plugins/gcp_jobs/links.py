"""Extra links of a task: to the execution and to its log, in Google's console or on the emulator's pages."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink

from gcp_jobs.model import JobRef
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

CONSOLE = "https://console.cloud.google.com"


@attrs.define()
class ExecutionLink(BaseOperatorLink):
    """The execution itself."""

    name = "Cloud Run execution"
    xcom_key = "gcp_jobs_execution_link"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Give the URL, nothing before the task has started its job; the web server reads it from XCom instead."""
        return _of(operator, self.xcom_key)


@attrs.define()
class LogLink(BaseOperatorLink):
    """The execution's log."""

    name = "Cloud Run log"
    xcom_key = "gcp_jobs_log_link"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Give the URL, nothing before the task has started its job; the web server reads it from XCom instead."""
        return _of(operator, self.xcom_key)


def urls(ref: JobRef) -> dict[str, str]:
    """URLs of an execution by the XCom key of their link."""
    return {ExecutionLink.xcom_key: execution_url(ref), LogLink.xcom_key: log_url(ref)}


def execution_url(ref: JobRef) -> str:
    """Where to look at an execution."""
    local = settings().gcp_emulator_url
    if local:
        return f"{local}/v2/{ref.name}"
    return f"{CONSOLE}/run/jobs/executions/details/{ref.region}/{ref.run}/tasks?project={ref.project}"


def log_url(ref: JobRef) -> str:
    """Where to read an execution's log."""
    local = settings().gcp_emulator_url
    if local:
        return f"{local}/v2/{ref.name}/tasks"  # its tasks with their exit codes: the emulator has no log page
    query = (
        f'resource.type="cloud_run_job"\nresource.labels.job_name="{ref.job}"\n'
        f'labels."run.googleapis.com/execution_name"="{ref.run}"'
    )
    return f"{CONSOLE}/logs/query;query={quote(query, safe='')}?project={ref.project}"


def _of(operator: "BaseOperator", key: str) -> str:
    ref = getattr(operator, "job_ref", None)
    return urls(ref)[key] if isinstance(ref, JobRef) else ""
