"""CloudRunJobOperator: runs a Cloud Run job once an attempt, waits for it, follows its log, says why it failed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from gcp_jobs import ownership
from gcp_jobs.backends.base import RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, GcpJobsError, RefusedForGood, TemplateError
from gcp_jobs.job_run import Carry, JobRun
from gcp_jobs.links import ExecutionLink, LogLink, urls
from gcp_jobs.model import JobRef, JobSpec, JobStatus
from gcp_jobs.once import Intent
from gcp_jobs.operators.context import attempt_of, identity_of, last_try
from gcp_jobs.operators.rendering import RendersTemplates, default_deferrable
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate, inline, parse

if TYPE_CHECKING:
    from airflow.sdk import Context


class CloudRunJobOperator(RendersTemplates, BaseOperator):
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
    :param cancel_on_kill: whether the execution is cancelled when a user ends the task.
    """

    operator_extra_links = (ExecutionLink(), LogLink())
    template_fields: Sequence[str] = (
        "project_id", "region", "gcp_conn_id", "impersonation_chain", "job_name", "overrides",
        "polling_period_seconds", "timeout_seconds", "transport", "template", "spec", "args", "env",
    )  # fmt: skip
    template_ext: Sequence[str] = (".yaml", ".yml")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "template": "yaml", "spec": "json", "overrides": "json", "env": "json",
    }  # fmt: skip
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
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.region = region
        self.job_name = job_name
        self.overrides = overrides
        self.polling_period_seconds = polling_period_seconds
        self.timeout_seconds = timeout_seconds
        self.use_regional_endpoint = use_regional_endpoint
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.transport = transport
        self.verbose = verbose
        self.template = template
        self.spec = spec
        self.args = args
        self.env = env
        self.manage_job = manage_job
        self.cancel_on_kill = cancel_on_kill
        self.template_name = template
        self._claim: ownership.Claim | None = None
        self._unfinished: JobRef | None = None

    @property
    def job_ref(self) -> JobRef | None:
        """The run that this try answers for, None before there is one."""
        return JobRef.parse(self._claim.job) if self._claim else None

    # the life of a run

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start the job, or attach to the run of an earlier try; wait; give the result."""
        with self._edge(context):
            run, template = self._run(), self._template()
            attempt, store = attempt_of(context), context.get("task_state_store")
            manage = settings().manage_jobs if self.manage_job is None else self.manage_job
            spec = template.spec if template else None
            started = run.start(attempt, store, self._request(context, template), spec, manage=manage)
            self._own(context, started.ref)
            carry = Carry(started.ref, self._deadline(), spec.digest if spec else "", self._many_tasks(spec))
            if self.deferrable:
                self._defer(carry, cursor=None)
            try:
                ended = run.wait(carry)
            except AirflowTaskTimeout:
                self._give_up()
                raise
            return self._verdict(ended.status or run.read(started.ref), carry, timed_out=ended.timed_out)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger: read the truth once more, bring the rest of the log, give the verdict."""
        with self._edge(context):
            run, carry, timed_out = (
                self._run(),
                Carry.from_dict(event["carry"]),
                event["outcome"] == "timed_out",
            )
            self._own(context, carry.ref)
            if event["outcome"] == "error":
                kind = RefusedForGood if event.get("permanent") else ApiError
                raise kind(f"the wait broke: {event['error']}", where=carry.ref.name)
            status = run.read(carry.ref)
            if not status.terminal and not timed_out:
                self.log.info("Execution %s is %s after all: waiting on", carry.ref, status.state)
                self._defer(carry, event["cursor"])
            follower = run.follower(carry, event["cursor"])
            if follower:
                follower.poll(last=True)
            return self._verdict(status, carry, timed_out=timed_out)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: "Context"
    ) -> Any:
        """Resume; where Airflow gave the trigger up and no try is left, the run is cancelled first."""
        if next_method == TRIGGER_FAIL_REPR:
            intent = Intent.load(context.get("task_state_store"))
            if intent and intent.run and last_try(context):
                self._unfinished = intent.ref
                self._give_up()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run if a user ended the task, and only then (see gcp_jobs.ownership)."""
        claim, ref = self._claim, self._unfinished
        if claim and ref and self.cancel_on_kill:
            ownership.on_worker_kill(claim, lambda: self._run().backend.cancel(ref))

    # their steps

    def _run(self) -> JobRun:
        from gcp_jobs.backends.cloud_run import CloudRunBackend

        region = self._job(self._template()).region if self.use_regional_endpoint else ""
        access = Access.of(self.gcp_conn_id, self.impersonation_chain, self.transport, region)
        return JobRun(
            CloudRunBackend(access), access, self.log, float(self.polling_period_seconds), self.verbose
        )

    def _template(self) -> JobTemplate | None:
        if self.template is not None and self.spec is not None:
            raise TemplateError(
                "template and spec are both given", where=f"task {self.task_id}", todo="Keep one."
            )
        mine = {"project": self.project_id, "region": self.region, "name": self.job_name}
        if self.template is not None:
            name = str(self.template_name or "template")
            return parse(self.template, source=name, settings=settings(), overrides=mine)
        return inline(self.spec, settings(), mine) if self.spec is not None else None

    def _job(self, template: JobTemplate | None) -> JobRef:
        here = settings()
        if template:
            job = JobRef("cloud_run", template.spec.project, template.spec.region, template.spec.name)
        elif self.job_name:
            job = JobRef(
                "cloud_run", self.project_id or here.project, self.region or here.region, self.job_name
            )
        else:
            raise TemplateError(
                "no job is named", where=f"task {self.task_id}", todo="Give job_name, template or spec."
            )
        if here.regions and job.region not in here.regions:
            allowed = f"GCP_JOBS_REGIONS allows {', '.join(here.regions)}."
            raise TemplateError(
                f"region {job.region} is not allowed", where=f"task {self.task_id}", todo=allowed
            )
        return job

    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        return RunRequest(
            self._job(template),
            run_key="",
            container="main" if template and template.spec.containers else "",
            args=None if self.args is None else tuple(map(str, self.args)),
            env={**identity_of(context["ti"]), **{k: str(v) for k, v in (self.env or {}).items()}},
            overrides=self.overrides or {},
        )

    def _own(self, context: "Context", ref: JobRef) -> None:
        """From here on this try answers for the run: XCom says so, and links lead to it."""
        self._unfinished = ref
        self._claim = ownership.Claim(**asdict(attempt_of(context)), job=ref.name)
        for key, value in {ownership.OWNER: ref.name, **urls(ref)}.items():
            context["ti"].xcom_push(key=key, value=value)

    def _defer(self, carry: Carry, cursor: dict[str, Any] | None) -> NoReturn:
        from gcp_jobs.triggers.job import JobTrigger

        run = self._run()
        trigger = JobTrigger(
            ref=carry.ref.to_dict(),
            access=run.access.to_dict(),
            deadline=carry.deadline,
            period=run.period_s,
            claim=self._claim.to_dict() if self._claim and self.cancel_on_kill else None,
            cursor=cursor,
            follow_log=self.verbose,
            show_task=carry.show_task,
            carry=carry.to_dict(),
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _verdict(self, status: JobStatus, carry: Carry, *, timed_out: bool) -> dict[str, Any]:
        if status.terminal:
            self._unfinished = None
        template = self._template()
        exit_codes = template.exit_codes if template else {}
        result = self._run().verdict(status, carry, exit_codes, timed_out=timed_out)
        self.log.info("Execution %s succeeded in %s s", carry.ref, result.duration_s)
        return result.to_dict()

    def _give_up(self) -> None:
        if self._unfinished and self.cancel_on_kill:
            self._run().end(self._unfinished)
        self._unfinished = None

    @contextmanager
    def _edge(self, context: "Context") -> Iterator[None]:
        """Where our errors become Airflow's; a run that no try will come back for is cancelled."""
        try:
            yield
        except GcpJobsError as error:
            if error.permanent or last_try(context):
                self._give_up()
            if error.permanent:
                raise AirflowFailException(str(error)) from None  # the message says it all
            raise

    def _deadline(self) -> float | None:
        limits = [float(self.timeout_seconds)] if self.timeout_seconds is not None else []
        if self.execution_timeout is not None and self.deferrable:
            limits.append(self.execution_timeout.total_seconds())
        return time.time() + min(limits) if limits else None

    def _many_tasks(self, spec: JobSpec | None) -> bool:
        count = (self.overrides or {}).get("task_count") or (spec.task_count if spec else 1)
        return int(count) > 1
