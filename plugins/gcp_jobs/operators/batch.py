"""BatchJobOperator: submits a Batch job once an attempt, waits for it, follows its log, says why it failed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import TemplateError
from gcp_jobs.links import BatchJobLink, BatchLogLink
from gcp_jobs.model import JobSpec
from gcp_jobs.names import stem
from gcp_jobs.operators.context import identity_of, labels_of
from gcp_jobs.operators.job import JobOperator
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate

if TYPE_CHECKING:
    from airflow.sdk import Context
    from google.cloud import batch_v1


class BatchJobOperator(JobOperator):
    """
    Submits a Batch job and waits for its end. Takes every argument of the stock CloudBatchSubmitJobOperator.

    The job's id is a pure function of its prefix and of DAG, run, task, map index and generation, so a retry finds the
    job of the try before instead of submitting a second one. XCom gets a small result (gcp_jobs.model.JobResult).

    :param project_id: Google Cloud project of the job; else the template's, else the setting's. (templated)
    :param region: region of the job; else the template's, else the setting's. (templated)
    :param job_name: the job's very id, as the stock operator has it; a run after a failure or a clear puts something
        behind it. Better left out: see job_name_prefix. (templated)
    :param job: what to run, as Batch has it: a google.cloud.batch_v1.Job or a dict of its fields. (templated)
    :param polling_period_seconds: longest time between two reads of the job's state, where no event tells of it.
    :param timeout_seconds: the wait as a whole, from the start of the try; past it the job is cancelled and the task
        fails. Unset: the task's execution_timeout, else no limit beyond the job's own. (templated)
    :param gcp_conn_id: Airflow connection to Google Cloud. (templated)
    :param impersonation_chain: service account to impersonate, or a chain that ends with it. (templated)
    :param deferrable: whether to wait in the triggerer; the same semantics either way. Default: Airflow's
        [operators] default_deferrable where it is set, else True.
    :param transport: "grpc" or "rest". The triggerer always uses gRPC. (templated)
    :param verbose: whether to bring the tasks' log into the task log, live.
    :param job_name_prefix: start of the id, any text; default: the template's name, else the task's id. (templated)
    :param template: job template: a YAML file's name in a folder of GCP_JOBS_TEMPLATE_FOLDERS. (templated)
    :param spec: the same fields as a template's `base`, given directly. (templated)
    :param args: arguments of the main container, instead of the template's. (templated)
    :param env: environment variables of the main container, beside the template's. (templated)
    :param labels: labels of the job, beside those that say which DAG, run, task and try made it. (templated)
    :param cancel_on_kill: whether the job is cancelled when a user ends the task.
    :param retry_failed: whether Airflow's retries run a job again that failed. Without it they serve only tries that
        died, whose job the next try finds: a killed worker then costs nothing, and a failed job fails the task.
    """

    operator_extra_links = (BatchJobLink(), BatchLogLink())
    template_fields: Sequence[str] = (
        "project_id", "region", "gcp_conn_id", "impersonation_chain", "job_name", "job", "polling_period_seconds",
        "timeout_seconds", "transport", "job_name_prefix", "template", "spec", "args", "env", "labels",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **JobOperator.template_fields_renderers, "job": "json", "labels": "json",
    }  # fmt: skip
    backend_name = "batch"
    ui_color = "#fde8d7"

    def __init__(
        self,
        *,
        project_id: str | None = None,
        region: str | None = None,
        job_name: str | None = None,
        job: "Mapping[str, Any] | batch_v1.Job | None" = None,
        polling_period_seconds: float = 10,
        timeout_seconds: float | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        transport: Literal["rest", "grpc"] | None = None,
        verbose: bool = True,
        job_name_prefix: str | None = None,
        template: str | None = None,
        spec: Mapping[str, Any] | None = None,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        cancel_on_kill: bool = True,
        retry_failed: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            project_id=project_id, region=region, job_name=job_name, polling_period_seconds=polling_period_seconds,
            timeout_seconds=timeout_seconds, gcp_conn_id=gcp_conn_id, impersonation_chain=impersonation_chain,
            deferrable=deferrable, transport=transport, verbose=verbose, template=template, spec=spec, args=args,
            env=env, cancel_on_kill=cancel_on_kill, retry_failed=retry_failed, **kwargs,
        )  # fmt: skip
        self.job = job
        self.job_name_prefix = job_name_prefix
        self.labels = labels

    def prepare_template(self) -> None:
        """Turn a Job into a dict, so that its fields are rendered too."""
        super().prepare_template()
        if self.job is not None and not isinstance(self.job, str | Mapping):
            self.job = type(self.job).to_dict(self.job)

    def _backend(self, access: Access) -> JobBackend:
        from gcp_jobs.backends.batch import BatchBackend

        return BatchBackend(access)

    def _name(self) -> str | None:
        """A spec's name is the start of an id; the exact id goes beside it."""
        return stem(self.job_name_prefix) if self.job_name_prefix else None

    def _others(self) -> frozenset[str]:
        """Cloud Run needs a definition, which only the deployment writes outside of local and dev."""
        return frozenset({"cloud_run"}) if settings().manage_jobs else frozenset()

    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        job: Any = self.job
        if (template is None) == (job is None):
            raise TemplateError(
                "exactly one of template, spec and job is needed",
                where=f"task {self.task_id}",
                todo="Give one.",
            )
        if job is not None and not isinstance(job, Mapping):
            raise TemplateError(
                f"job is a {type(job).__name__}, not a dict or Job", where=f"task {self.task_id}",
                todo="Give the job's fields as a dict.",
            )  # fmt: skip
        ti = context["ti"]
        prefix = self._name() or (None if template else stem(self.task_id))
        return RunRequest(
            self._place(template, self.job_name or prefix),
            run_key="",
            args=None if self.args is None else tuple(map(str, self.args)),
            env={**identity_of(ti), **{k: str(v) for k, v in (self.env or {}).items()}},
            overrides=job or {},
            spec=template.spec if template else None,
            labels={**{k: str(v) for k, v in (self.labels or {}).items()}, **labels_of(ti)},
            exact=bool(self.job_name),
        )

    def _task_count(self, spec: JobSpec | None) -> int:
        if spec:
            return spec.task_count
        job: Any = self.job
        groups = job.get("task_groups") or job.get("taskGroups") or [{}]
        first = groups[0]
        return int(first.get("task_count") or first.get("taskCount") or 1)
