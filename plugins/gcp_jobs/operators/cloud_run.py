"""CloudRunJobOperator: runs a Cloud Run job once an attempt, waits for it, follows its log, says why it failed."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperatorLink

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import TemplateError
from gcp_jobs.links import ExecutionLink, LogLink, ReportLink
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.operators.context import identity_of
from gcp_jobs.operators.elsewhere import PER_RUN, overrides
from gcp_jobs.operators.job import JobOperator
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate

if TYPE_CHECKING:
    from airflow.sdk import Context


class CloudRunJobOperator(JobOperator):
    """
    Runs a Cloud Run job and waits for its end. Takes every argument of the stock CloudRunExecuteJobOperator.

    XCom gets a small result (gcp_jobs.model.JobResult): execution, state, exit code, duration, counts.

    :param project_id: Google Cloud project of the job; else the template's, else the setting's. (templated)
    :param region: region of the job; else the template's, else the setting's. (templated)
    :param job_name: name of the job; else the template's. (templated)
    :param overrides: what this run changes, in Cloud Run's own form: container_overrides (name, args, env,
        clear_args), task_count, timeout. (templated)
    :param polling_period_seconds: longest time between two reads of the execution's state; the first come sooner.
    :param timeout_seconds: the wait as a whole, from the start of the try; past it the execution is cancelled and the
        task fails. Unset: the task's execution_timeout, else no limit beyond the job's own. (templated)
    :param use_regional_endpoint: whether to call the region's own endpoint instead of the global one.
    :param gcp_conn_id: Airflow connection to Google Cloud. (templated)
    :param impersonation_chain: service account to impersonate, or a chain that ends with it. (templated)
    :param deferrable: whether to wait in the triggerer; the same semantics either way. Default: Airflow's
        [operators] default_deferrable where it is set, else True.
    :param transport: "grpc" or "rest". The triggerer always uses gRPC. (templated)
    :param verbose: whether to bring the containers' log into the task log, live.
    :param template: job template: a YAML file's name in a folder of GCP_JOBS_TEMPLATE_FOLDERS. (templated)
    :param spec: the same fields as a template's `base`, given directly. (templated)
    :param args: arguments of the main container for this run; None leaves the job's own. (templated)
    :param env: environment variables of the main container for this run. (templated)
    :param manage_job: whether to create or update the job to match template or spec before running it. Default: only
        where GCP_JOBS_ENVIRONMENT is local or dev; elsewhere the deployment writes jobs and drift is reported.
    :param start_token: whether a start writes the job's definition, with this run's args and env, and a token that
        names the execution beforehand: Google itself then starts one an attempt, and two tries at once get the same.
        For definitions that nothing else runs. Needs manage_job, and template or spec.
    :param cancel_on_kill: whether the execution is cancelled when a user ends the task.
    :param retry_failed: whether Airflow's retries run a job again that failed. Without it they serve only tries that
        died, whose job the next try finds: a killed worker then costs nothing, and a failed job fails the task.
    :param report_uri: gs://bucket/name of what the job leaves for people to read; the task links to it. (templated)
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ExecutionLink(), LogLink())
    template_fields: Sequence[str] = (
        "project_id", "region", "gcp_conn_id", "impersonation_chain", "job_name", "overrides",
        "polling_period_seconds", "timeout_seconds", "transport", "template", "spec", "args", "env", "report_uri",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **JobOperator.template_fields_renderers, "overrides": "json",
    }  # fmt: skip
    backend_name = "cloud_run"
    per_run = PER_RUN["cloud_run"]
    fixed = frozenset({"cpu", "memory"})
    ui_color = "#d7e8fd"

    def __init__(
        self,
        *,
        project_id: str | None = None,
        region: str | None = None,
        job_name: str | None = None,
        overrides: dict[str, Any] | None = None,
        polling_period_seconds: float = 10,
        timeout_seconds: float | None = None,
        use_regional_endpoint: bool = False,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        transport: Literal["rest", "grpc"] | None = None,
        verbose: bool = True,
        template: str | None = None,
        spec: Mapping[str, Any] | None = None,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        manage_job: bool | None = None,
        start_token: bool = False,
        cancel_on_kill: bool = True,
        retry_failed: bool = True,
        report_uri: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            project_id=project_id, region=region, job_name=job_name, polling_period_seconds=polling_period_seconds,
            timeout_seconds=timeout_seconds, gcp_conn_id=gcp_conn_id, impersonation_chain=impersonation_chain,
            deferrable=deferrable, transport=transport, verbose=verbose, template=template, spec=spec, args=args,
            env=env, cancel_on_kill=cancel_on_kill, retry_failed=retry_failed, **kwargs,
        )  # fmt: skip
        self.overrides = overrides
        self.use_regional_endpoint = use_regional_endpoint
        self.manage_job = manage_job
        self.start_token = start_token
        self.report_uri = report_uri
        if report_uri:
            self.operator_extra_links = (*self.operator_extra_links, ReportLink())

    def _access(self) -> Access:
        region = self._job(self._template()).region if self.use_regional_endpoint else ""
        return Access.of(self.gcp_conn_id, self.impersonation_chain, self.transport, region)

    def _backend(self, access: Access) -> JobBackend:
        from gcp_jobs.backends.cloud_run import CloudRunBackend

        return CloudRunBackend(access)

    def _manages(self) -> bool:
        return settings().manage_jobs if self.manage_job is None else self.manage_job

    def _job(self, template: JobTemplate | None) -> JobRef:
        if template is None and not self.job_name:
            raise TemplateError(
                "no job is named", where=f"task {self.task_id}", todo="Give job_name, template or spec."
            )
        return self._place(template, None if template else self.job_name)

    def _others(self) -> frozenset[str]:
        return frozenset() if self.overrides else frozenset({"batch"})

    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        changed = dict(self._attempts.overrides) if self._attempts else {}
        env = changed.pop("env", {})
        return RunRequest(
            self._job(template),
            run_key="",
            container="main" if template and template.spec.containers else "",
            args=None if self.args is None else tuple(map(str, self.args)),
            env={**env, **identity_of(context["ti"]), **{k: str(v) for k, v in (self.env or {}).items()}},
            overrides={**(self.overrides or {}), **overrides(changed)},
            spec=self._written(template) if self.start_token else None,
            by_token=self.start_token,
        )

    def _written(self, template: JobTemplate | None) -> JobSpec:
        if template is None or not self._manages():
            raise TemplateError(
                "start_token=True writes the job's definition at each start, which this task may not",
                where=f"task {self.task_id}",
                todo="Give template or spec, and manage_job=True; or leave start_token out.",
            )
        return template.spec

    def _task_count(self, spec: JobSpec | None) -> int:
        return int((self.overrides or {}).get("task_count") or (spec.task_count if spec else 1))
