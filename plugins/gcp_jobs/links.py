"""Extra links of a task: to its job, the log and the report of that, at Google or at the emulator."""

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


@attrs.define()
class BatchJobLink(BaseOperatorLink):
    """The Batch job itself."""

    name = "Batch job"
    xcom_key = "gcp_jobs_batch_job_link"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Give the URL, nothing before the task has started its job; the web server reads it from XCom instead."""
        return _of(operator, self.xcom_key)


@attrs.define()
class BatchLogLink(BaseOperatorLink):
    """The Batch job's log."""

    name = "Batch log"
    xcom_key = "gcp_jobs_batch_log_link"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Give the URL, nothing before the task has started its job; the web server reads it from XCom instead."""
        return _of(operator, self.xcom_key)


@attrs.define()
class ReportLink(BaseOperatorLink):
    """What the job leaves for people to read."""

    name = "Report"
    xcom_key = "gcp_jobs_report_link"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Give the URL; before the job has ended there may be nothing behind it."""
        return report_url(getattr(operator, "report_uri", None) or "")


def urls(ref: JobRef) -> dict[str, str]:
    """URLs of a run by the XCom key of their link."""
    if ref.on_batch:
        return {BatchJobLink.xcom_key: execution_url(ref), BatchLogLink.xcom_key: log_url(ref)}
    return {ExecutionLink.xcom_key: execution_url(ref), LogLink.xcom_key: log_url(ref)}


def execution_url(ref: JobRef) -> str:
    """Where to look at a run."""
    local = settings().gcp_emulator_url
    if local:
        return f"{local}/emulator/{'batch' if ref.on_batch else 'executions'}/{ref.name}"
    if ref.on_batch:
        job = f"regions/{ref.region}/jobs/{ref.job}"
        return f"{CONSOLE}/batch/jobsDetail/{job}/details?project={ref.project}"
    return f"{CONSOLE}/run/jobs/executions/details/{ref.region}/{ref.run}/tasks?project={ref.project}"


def log_url(ref: JobRef) -> str:
    """Where to read a run's log."""
    local = settings().gcp_emulator_url
    if local:
        return f"{local}/emulator/logs?resource={quote(ref.name, safe='')}"
    query = (
        f'log_id("batch_task_logs")\nlabels.job_uid="{ref.uid}"' if ref.on_batch else _execution_query(ref)
    )
    return f"{CONSOLE}/logs/query;query={quote(query, safe='')}?project={ref.project}"


def report_url(uri: str) -> str:
    """Where to read an object, given as gs://bucket/name, in a browser; empty for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme != "gs" or not name:
        return ""
    local = settings().gcp_emulator_url
    if local:
        return f"{local}/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
    # asks who reads: https://docs.cloud.google.com/storage/docs/request-endpoints#cookieauth
    return f"https://storage.cloud.google.com/{bucket}/{quote(name)}"


def _execution_query(ref: JobRef) -> str:
    return (
        f'resource.type="cloud_run_job"\nresource.labels.job_name="{ref.job}"\n'
        f'labels."run.googleapis.com/execution_name"="{ref.run}"'
    )


def _of(operator: "BaseOperator", key: str) -> str:
    ref = getattr(operator, "job_ref", None)
    return urls(ref)[key] if isinstance(ref, JobRef) else ""
