"""What operators that run jobs share: start or attach, wait here or in the triggerer, end, judge."""

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from gcp_jobs import ownership
from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, GcpJobsError, JobTimedOut, RefusedForGood, TemplateError
from gcp_jobs.job_run import Carry, JobRun
from gcp_jobs.ledger.journal import Journal
from gcp_jobs.ledger.record import Source, entry_of
from gcp_jobs.links import log_url, urls
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.once import Intent
from gcp_jobs.operators.context import attempt_of, journal_of, last_try
from gcp_jobs.operators.rendering import RendersTemplates, default_deferrable
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate, inline, parse

if TYPE_CHECKING:
    from airflow.sdk import Context


class JobOperator(RendersTemplates, BaseOperator):
    """Runs one job an attempt. A subclass says which backend runs it, and what exactly it asks that for.

    The parameters are those of the subclasses, with the same meaning in each.
    """

    template_ext: Sequence[str] = (".yaml", ".yml")
    template_fields_renderers: ClassVar[dict[str, str]] = {"template": "yaml", "spec": "json", "env": "json"}
    backend_name: ClassVar[str]

    def __init__(
        self,
        *,
        project_id: str | None,
        region: str | None,
        job_name: str | None,
        polling_period_seconds: float,
        timeout_seconds: float | None,
        gcp_conn_id: str,
        impersonation_chain: str | Sequence[str] | None,
        deferrable: bool | None,
        transport: Literal["rest", "grpc"] | None,
        verbose: bool,
        template: str | None,
        spec: Mapping[str, Any] | None,
        args: Sequence[str] | None,
        env: Mapping[str, str] | None,
        cancel_on_kill: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.region = region
        self.job_name = job_name
        self.polling_period_seconds = polling_period_seconds
        self.timeout_seconds = timeout_seconds
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.transport = transport
        self.verbose = verbose
        self.template = template
        self.spec = spec
        self.args = args
        self.env = env
        self.cancel_on_kill = cancel_on_kill
        self.template_name = template
        self._claim: ownership.Claim | None = None
        self._ref: JobRef | None = None
        self._unfinished: JobRef | None = None
        self._journal: Journal | None = None

    @property
    def job_ref(self) -> JobRef | None:
        """The run that this try answers for, None before there is one."""
        return self._ref

    # what a subclass says

    @abstractmethod
    def _backend(self, access: Access) -> JobBackend:
        """Give what runs the jobs."""

    @abstractmethod
    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        """Say which run this try wants, but for its key."""

    @abstractmethod
    def _task_count(self, spec: JobSpec | None) -> int:
        """Count the run's tasks."""

    def _access(self) -> Access:
        return Access.of(self.gcp_conn_id, self.impersonation_chain, self.transport)

    def _manages(self) -> bool:
        return True

    # the life of a run

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start the job, or attach to the run of an earlier try; wait; give the result."""
        with self._edge(context) as journal:
            run, template = self._run(), self._template()
            attempt, store = attempt_of(context), context.get("task_state_store")
            spec = template.spec if template else None
            request = self._request(context, template)

            def told(intent: Intent) -> None:
                journal.intends(intent, spec, request.changes())
                journal.write()

            started = run.start(attempt, store, request, spec, manage=self._manages(), told=told)
            self._own(context, started.ref)
            entry = journal.started(started.ref, attached=started.attached, logs_url=log_url(started.ref))
            journal.write()
            many = self._task_count(spec) > 1
            carry = Carry(started.ref, self._deadline(), spec.digest if spec else "", many, entry)
            if self.deferrable:
                self._defer(carry, cursor=None)
            try:
                ended = run.wait(carry)
            except AirflowTaskTimeout:
                self._give_up()
                journal.failed(JobTimedOut("the task's execution_timeout passed"), last=last_try(context))
                raise
            return self._verdict(ended.status or run.read(started.ref), carry, timed_out=ended.timed_out)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger: read the truth once more, bring the rest of the log, give the verdict."""
        with self._edge(context) as journal:
            run, carry = self._run(), Carry.from_dict(event["carry"])
            journal.resumed(carry.entry, carry.ref)
            timed_out = event["outcome"] == "timed_out"
            self._own(context, carry.ref)
            if event["outcome"] == "error":
                kind = RefusedForGood if event.get("permanent") else ApiError
                raise kind(f"the wait broke: {event['error']}", where=carry.ref.name)
            status = run.read(carry.ref, event.get("state", ""), event.get("said", ""))
            if not status.terminal and not timed_out:
                self.log.info("%s %s is %s after all: waiting on", carry.ref.noun, carry.ref, status.state)
                self._defer(carry, event["cursor"])
            follower = None if event.get("log_told") else run.follower(carry, event["cursor"])
            if follower:
                follower.finish()
            return self._verdict(status, carry, timed_out=timed_out)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: "Context"
    ) -> Any:
        """Resume; where Airflow gave the trigger up and no try is left, the run is cancelled first."""
        if next_method == TRIGGER_FAIL_REPR:
            intent = Intent.load(context.get("task_state_store"))
            if intent and intent.named:
                self._journal = journal = journal_of(context, self.log)
                journal.resumed(entry_of(intent.run_key, intent.since), intent.ref)
                if last_try(context):
                    self._unfinished = intent.ref
                    self._give_up()
                journal.failed(JobTimedOut("Airflow gave the wait up"), last=last_try(context))
                journal.write()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run if a user ended the task, and only then (see gcp_jobs.ownership)."""
        claim, ref = self._claim, self._unfinished
        if claim and ref and self.cancel_on_kill:
            ownership.on_worker_kill(claim, lambda: self._cancel(ref))

    def _cancel(self, ref: JobRef) -> None:
        """Cancel, then say so; no question to Airflow any more, for the supervisor may be busy with our end."""
        self._run().backend.cancel(ref)
        if self._journal:
            self._journal.reads(JobStatus(ref, JobState.CANCELLATION_IN_PROGRESS), Source.CANCEL)
            self._journal.write(wait=False)

    # their steps

    def _run(self) -> JobRun:
        access = self._access()
        period = float(self.polling_period_seconds)
        return JobRun(self._backend(access), access, self.log, period, self.verbose)

    def _template(self) -> JobTemplate | None:
        if self.template is not None and self.spec is not None:
            raise TemplateError(
                "template and spec are both given", where=f"task {self.task_id}", todo="Keep one."
            )
        mine = {"project": self.project_id, "region": self.region, "name": self._name()}
        if self.template is not None:
            name = str(self.template_name or "template")
            return parse(
                self.template, source=name, settings=settings(), overrides=mine, backend=self.backend_name
            )
        return inline(self.spec, settings(), mine, self.backend_name) if self.spec is not None else None

    def _name(self) -> str | None:
        """What the operator itself says of the job's name."""
        return self.job_name

    def _place(self, template: JobTemplate | None, name: str | None) -> JobRef:
        """Where the job is: the operator's own word, else the template's, else the setting's."""
        here = settings()
        if template:
            spec = template.spec
            job = JobRef(self.backend_name, spec.project, spec.region, name or spec.name)
        else:
            job = JobRef(
                self.backend_name, self.project_id or here.project, self.region or here.region, name or ""
            )
        if here.regions and job.region not in here.regions:
            allowed = f"GCP_JOBS_REGIONS allows {', '.join(here.regions)}."
            raise TemplateError(
                f"region {job.region} is not allowed", where=f"task {self.task_id}", todo=allowed
            )
        return job

    def _own(self, context: "Context", ref: JobRef) -> None:
        """From here on this try answers for the run: XCom says so, and links lead to it."""
        self._ref = self._unfinished = ref
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
        if self._journal:
            self._journal.reads(status)
        template = self._template()
        exit_codes, spec = (template.exit_codes, template.spec) if template else ({}, None)
        identity = (spec.service_account if spec else None) or ""
        result = self._run().verdict(status, carry, exit_codes, timed_out=timed_out, identity=identity)
        if self._journal:
            self._journal.succeeded(result)
        self.log.info("%s %s succeeded in %s s", carry.ref.noun.capitalize(), carry.ref, result.duration_s)
        return result.to_dict()

    def _give_up(self) -> None:
        if self._unfinished and self.cancel_on_kill:
            status = self._run().end(self._unfinished)
            if status and self._journal:
                self._journal.reads(status, Source.CANCEL)
        self._unfinished = None

    @contextmanager
    def _edge(self, context: "Context") -> Iterator[Journal]:
        """Where our errors become Airflow's; a run that no try will come back for is cancelled; all is recorded."""
        self._journal = journal = journal_of(context, self.log)
        try:
            yield journal
        except GcpJobsError as error:
            if error.permanent or last_try(context):
                self._give_up()
            journal.failed(error, last=last_try(context))
            if error.permanent:
                raise AirflowFailException(str(error)) from None  # the message says it all
            raise
        finally:
            journal.write()

    def _deadline(self) -> float | None:
        limits = [float(self.timeout_seconds)] if self.timeout_seconds is not None else []
        if self.execution_timeout is not None and self.deferrable:
            limits.append(self.execution_timeout.total_seconds())
        return time.time() + min(limits) if limits else None
