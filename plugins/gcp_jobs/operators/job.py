"""What operators that run jobs share: start or attach, wait here or in the triggerer, end, judge."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from gcp_jobs import ownership
from gcp_jobs.backends.base import RunRequest
from gcp_jobs.errors import ApiError, GcpJobsError, JobFailed, JobTimedOut, NotFound, RefusedForGood
from gcp_jobs.job_run import Carry, JobRun
from gcp_jobs.ledger.journal import Journal
from gcp_jobs.ledger.record import Source, entry_of
from gcp_jobs.links import log_url, urls
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.once import CLOCK_SKEW, Attempt, Intent, StateStore, oldest
from gcp_jobs.operators import elsewhere
from gcp_jobs.operators.aftermath import Aftermath
from gcp_jobs.operators.arguments import JobArguments
from gcp_jobs.operators.attempts import Attempts, recall, remember
from gcp_jobs.operators.context import attempt_of, journal_of, last_try
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate
from gcp_jobs.usage import advice

if TYPE_CHECKING:
    from airflow.sdk import Context

KILLED_S = 4.0  # from the return of on_kill to SIGKILL there are 5


class JobOperator(JobArguments):
    """Runs one job an attempt. A subclass says which backend runs it, and what exactly it asks that for.

    The parameters are those of the subclasses, with the same meaning in each.
    """

    _claim: ownership.Claim | None = None
    _ref: JobRef | None = None
    _unfinished: JobRef | None = None
    _starting: Intent | None = None
    _killing: Thread | None = None
    _journal: Journal | None = None
    _attempts: Attempts | None = None

    @property
    def job_ref(self) -> JobRef | None:
        """The run that this try answers for, None before there is one."""
        return self._ref

    @property
    def attempted(self) -> bool:
        """Whether this process has had a try in hand, which sees to its own end."""
        return self._journal is not None

    # the life of a run

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start the job, or attach to the run of an earlier try; wait; give the result."""
        with self._edge(context, begins=True) as journal:
            self._attempts = self._begin(context, recall(*self._memory(context)))
            carry = self._start(context, self._deadline())
            if self.deferrable:
                self._defer(carry, cursor=None)
            try:
                return self._wait(context, carry)
            except AirflowTaskTimeout:
                self._give_up()
                journal.failed(JobTimedOut("the task's execution_timeout passed"), last=last_try(context))
                self._forget(context)
                raise

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger: read the truth once more, bring the rest of the log, give the verdict."""
        with self._edge(context) as journal:
            carry = Carry.from_dict(event["carry"])
            self._attempts = self._begin(context, carry.history) if carry.history else None
            if event["outcome"] == "rested":
                self._defer(self._start(context, carry.deadline), cursor=None)
            run = self._run()
            journal.resumed(carry.entry, carry.ref)
            timed_out = event["outcome"] == "timed_out"
            self._own(context, carry.ref)
            if event["outcome"] == "error":
                kind = RefusedForGood if event.get("permanent") else ApiError
                raise kind(f"the wait broke: {event['error']}", where=carry.ref.name)
            status = run.read(carry.ref, event.get("state", ""), event.get("said", ""))
            if not status.terminal and not timed_out and event["outcome"] not in ("stuck", "straggling"):
                self.log.info("%s %s is %s after all: waiting on", carry.ref.noun, carry.ref, status.state)
                self._defer(carry, event["cursor"])
            follower = None if event.get("log_told") else run.follower(carry, event["cursor"])
            if follower and status.terminal:
                follower.finish()
            found = self._settle(context, status, carry, timed_out=timed_out, silent=event.get("why", ""))
            if isinstance(found, Carry):
                self._defer(found, event["cursor"])
            return found

    def _start(self, context: "Context", deadline: float | None) -> Carry:
        """Start the present attempt, or attach to its run."""
        run, journal, template = self._run(), self._told(), self._template()
        spec = template.spec if template else None
        request = self._wanted(context, template)
        self._claim = self._claim or ownership.Claim(**asdict(attempt_of(context)), job="")

        def told(intent: Intent) -> None:
            self._starting = intent
            journal.intends(intent, spec, request.changes())
            journal.write()

        store = context.get("task_state_store")
        started = run.start(self._attempt(context), store, request, spec, manage=self._manages(), told=told)
        self._own(context, started.ref)
        mine = self._attempts
        entry = journal.started(
            started.ref, attached=started.attached, logs_url=log_url(started.ref),
            number=mine.number if mine else 1, rung=str(mine.history.here) if mine else None,
        )  # fmt: skip
        journal.write()
        many = self._task_count(spec) > 1
        return Carry(
            started.ref, deadline, spec.digest if spec else "", many, entry,
            history=mine.history.to_dict() if mine else None, patience=mine.patience if mine else None,
            watch=mine.watch if mine else None,
        )  # fmt: skip

    def _wait(self, context: "Context", carry: Carry) -> dict[str, Any]:
        """Wait here, for one attempt after the other."""
        while True:
            run = self._run()
            ended = run.wait(carry)
            found = self._settle(
                context, ended.status or run.read(carry.ref), carry, timed_out=ended.timed_out,
                silent=ended.straggling,
            )  # fmt: skip
            if not isinstance(found, Carry):
                return found
            carry = found
            if carry.not_before is not None:
                self._rest(carry.not_before)
                self._attempts = self._begin(context, carry.history)
                carry = self._start(context, carry.deadline)

    def _rest(self, until: float) -> None:
        """Wait for the time of the next attempt; nothing runs meanwhile."""
        time.sleep(max(0.0, until - time.time()))

    def _settle(
        self, context: "Context", status: JobStatus, carry: Carry, *, timed_out: bool, silent: str = ""
    ) -> dict[str, Any] | Carry:
        """Give the result, or what to wait for next: the same run, or the time of the next attempt.

        :param silent: says which task of a run that goes on has been silent for too long
        """
        after = self._aftermath(context)
        if after and not status.terminal and not timed_out:
            found = after.outrun(silent, status, carry) if silent else after.unstick(status, carry)
            if isinstance(found, Carry):
                self._unfinished = None if found.not_before is not None else carry.ref
                return found
            status = found
        try:
            result = self._verdict(status, carry, timed_out=timed_out)
        except JobFailed as error:
            if after is None:
                raise
            return after.follow(error, carry)
        self._forget(context)
        return result

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: "Context"
    ) -> Any:
        """Resume; where Airflow gave the trigger up and no try is left, the run is cancelled first."""
        if next_method == TRIGGER_FAIL_REPR:
            intent = Intent.load(context.get("task_state_store"))
            if intent and intent.named:
                self._attempts = self._begin(context, recall(*self._memory(context)))
                self._journal = journal = journal_of(context, self.log)
                journal.resumed(entry_of(intent.run_key, intent.since), intent.ref)
                if last_try(context):
                    self._unfinished = intent.ref
                    self._give_up()
                journal.failed(JobTimedOut("Airflow gave the wait up"), last=last_try(context))
                journal.write()
                self._forget(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run if a user ended the task, and only then (see gcp_jobs.ownership)."""
        if self._claim and self.cancel_on_kill and (self._unfinished or self._starting):
            self._killing = ownership.on_worker_kill(self._claim, self._cancel_ours)

    def _cancel_ours(self) -> None:
        """Cancel our run; one that is being started just now has no name yet and is waited for."""
        until = time.monotonic() + KILLED_S
        while not self._unfinished and self._starting and time.monotonic() < until:
            time.sleep(0.05)
        if ref := self._unfinished or self._begun():
            self._cancel(ref)

    def _let_kill_finish(self) -> None:
        """Our process may end right after the handler of its signal has returned: let the decision be made."""
        if self._killing:
            self._killing.join(KILLED_S)

    def _begun(self) -> JobRef | None:
        """The run of a start that was broken off, None where there is none."""
        if self._starting is None:
            return None
        job, since = self._starting.ref, datetime.fromisoformat(self._starting.since) - CLOCK_SKEW
        try:
            found = oldest(self._run().backend.runs(job, self._starting.run_key, since))
        except ApiError as error:
            self.log.warning("Whether a run was started is not known: %s", error)
            return None
        return found.ref if found and not found.terminal else None

    def _cancel(self, ref: JobRef) -> None:
        """Cancel, then say so; no question to Airflow any more, for the supervisor may be busy with our end."""
        self._run().backend.cancel(ref)
        if self._journal:
            self._journal.reads(JobStatus(ref, JobState.CANCELLATION_IN_PROGRESS), Source.CANCEL)
            self._journal.write(wait=False)

    # their steps

    def _template(self) -> JobTemplate | None:
        """What the present attempt runs."""
        return self._attempts.present if self._attempts else super()._template()

    def _begin(self, context: "Context", known: Mapping[str, Any] | None) -> Attempts | None:
        """Give the attempts of this try; None where no policy is given, or nothing would remember an attempt."""
        self._attempts = None
        template, (store, _) = self._template(), self._memory(context)
        if template is None or store is None:
            return None
        fixed = frozenset[str]() if self._manages() else self.fixed
        others = self._others() if template.policy.ladder.other_backend else frozenset[str]()
        if template.policy.ladder.other_backend and not others:
            self.log.info(
                "The ladder's other backend is left out: it cannot run what this task's arguments say here"
            )
        return Attempts.begin(
            template, self.backend_name, self.log, known, per_run=self.per_run, fixed=fixed, others=others
        )

    def _run(self) -> JobRun:
        """Reach the backend; both where attempts may have moved."""
        run, mine = super()._run(), self._attempts
        if mine is None or not mine.others:
            return run
        from gcp_jobs.backends.either import EitherBackend

        return replace(run, backend=EitherBackend(mine.history.here.backend, run.access))

    def _wanted(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        """Say which run the present attempt wants."""
        mine = self._attempts
        if mine is None or template is None or not mine.moved:
            return self._request(context, template)
        here = mine.history.here.backend
        return elsewhere.request(here, template.spec, context["ti"], self.args, self.env, mine.overrides)

    def _meant(self) -> JobRef:
        """What was to run, as far as the arguments tell."""
        if self._attempts:
            spec = self._attempts.present.spec
            return JobRef(self.backend_name, spec.project, spec.region, spec.name)
        here, given = settings(), self.spec if isinstance(self.spec, Mapping) else {}
        name = self._name() or self.job_name or given.get("name") or self.template_name or self.task_id
        project, region = self.project_id or given.get("project"), self.region or given.get("region")
        return JobRef(self.backend_name, str(project or here.project), str(region or here.region), str(name))

    def _aftermath(self, context: "Context") -> Aftermath | None:
        if self._attempts is None:
            return None
        store, clear_number = self._memory(context)
        return Aftermath(
            self._attempts, self._run(), self._told(), store, clear_number, last_try(context), self.log
        )

    def _attempt(self, context: "Context") -> Attempt:
        """Say which run this task means."""
        return attempt_of(context)

    def _memory(self, context: "Context") -> tuple[StateStore | None, int]:
        return context.get("task_state_store"), attempt_of(context).clear_number

    def _forget(self, context: "Context") -> None:
        """The next try begins afresh."""
        if self._attempts and self._attempts.history.past:
            remember(*self._memory(context), None)

    def _told(self) -> Journal:
        assert self._journal is not None  # set where the try begins
        return self._journal

    def _own(self, context: "Context", ref: JobRef) -> None:
        """From here on this try answers for the run: XCom says so, and links lead to it."""
        self._ref = self._unfinished = ref
        self._starting = None
        self._claim = ownership.Claim(**asdict(attempt_of(context)), job=ref.name)
        self._let_kill_finish()
        for key, value in {ownership.OWNER: ref.name, **urls(ref)}.items():
            context["ti"].xcom_push(key=key, value=value)

    def _defer(self, carry: Carry, cursor: dict[str, Any] | None) -> NoReturn:
        from gcp_jobs.triggers.job import JobTrigger
        from gcp_jobs.triggers.pause import PauseTrigger

        if carry.not_before is not None:
            pause = PauseTrigger(carry.not_before, carry.to_dict())
            self.defer(trigger=pause, method_name="execute_complete")
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
            patience=carry.patience,
            watch=dict(carry.watch) if carry.watch else None,
        )
        self._let_kill_finish()
        self.defer(trigger=trigger, method_name="execute_complete")

    def _verdict(self, status: JobStatus, carry: Carry, *, timed_out: bool) -> dict[str, Any]:
        if status.terminal:
            self._unfinished = None
        if self._journal:
            self._journal.reads(status)
        template = self._template()
        exit_codes, spec = (template.exit_codes, template.spec) if template else ({}, None)
        identity = (spec.service_account if spec else None) or ""
        usage = self._usage(status, spec)
        result = self._run().verdict(status, carry, exit_codes, timed_out=timed_out, identity=identity)
        if self._journal:
            self._journal.succeeded(result)
        self.log.info("%s %s succeeded in %s s", carry.ref.noun.capitalize(), carry.ref, result.duration_s)
        return result.to_dict() | {
            "attempts": self._attempts.told() if self._attempts else [], "usage": usage
        }  # fmt: skip

    def _usage(self, status: JobStatus, spec: JobSpec | None) -> str:
        """Say what the run used of what it asked for, where that is known; a line for the log and the result."""
        if spec is None or status.state not in (JobState.SUCCEEDED, JobState.FAILED):
            return ""
        from gcp_jobs.backends.usage import usage_of

        line = advice(spec, usage_of(status, spec, self._access()))
        if line:
            self.log.info("%s %s %s", status.ref.noun.capitalize(), status.ref, line)
        return line

    def _give_up(self) -> None:
        ref = self._unfinished or self._begun() if self.cancel_on_kill else None
        if ref:
            status = self._run().end(ref)
            if status and self._journal:
                self._journal.reads(status, Source.CANCEL)
        self._unfinished = self._starting = None

    @contextmanager
    def _edge(self, context: "Context", *, begins: bool = False) -> Iterator[Journal]:
        """Where our errors become Airflow's; a run that no try will come back for is cancelled; all is recorded.

        :param begins: whether the try begins here: what is refused before there is a run is recorded too
        """
        self._journal = journal = journal_of(context, self.log)
        try:
            yield journal
        except GcpJobsError as error:
            if error.permanent or last_try(context):
                self._give_up()
            nothing_runs = error.permanent or isinstance(error, NotFound) or not journal.intended
            if begins and self._ref is None and nothing_runs:
                journal.refused(self._meant())
            journal.failed(error, last=last_try(context))
            self._forget(context)
            if error.permanent:
                raise AirflowFailException(str(error)) from None  # the message says it all
            raise
        except (AirflowTaskTimeout, KeyboardInterrupt):
            # Ctrl-C ends `airflow dags test`; a worker's task gets none
            self._give_up()
            raise
        except Exception:  # not ours; but without a retry nobody comes back for the run
            if last_try(context):
                self._give_up()
            raise
        finally:
            journal.write()
