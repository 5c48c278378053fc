"""What operators that run jobs share: start or attach, wait here or in the triggerer, end, judge."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from gcp_jobs import by_hand, ownership
from gcp_jobs.errors import ApiError, GcpJobsError, JobFailed, JobTimedOut, NotFound, RefusedForGood
from gcp_jobs.job_run import Carry
from gcp_jobs.ledger.journal import Journal
from gcp_jobs.ledger.record import entry_of
from gcp_jobs.links import log_url
from gcp_jobs.model import JobSpec, JobState, JobStatus
from gcp_jobs.once import Intent
from gcp_jobs.operators.aftermath import Aftermath
from gcp_jobs.operators.attempts import recall
from gcp_jobs.operators.context import attempt_of, journal_of, last_try
from gcp_jobs.operators.hold import HoldsRun
from gcp_jobs.usage import advice

if TYPE_CHECKING:
    from airflow.sdk import Context


class JobOperator(HoldsRun):
    """Runs one job an attempt. A subclass says which backend runs it, and what exactly it asks that for.

    The parameters are those of the subclasses, with the same meaning in each.
    """

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
                late = JobTimedOut("the task's execution_timeout passed")
                journal.failed(late, last=self._ends(late) or last_try(context))
                self._forget(context)
                if self._ends(late):
                    raise AirflowFailException(str(late)) from None
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

    # their steps

    def _aftermath(self, context: "Context") -> Aftermath | None:
        if self._attempts is None:
            return None
        store, clear_number = self._memory(context)
        return Aftermath(
            self._attempts, self._run(), self._told(), store, clear_number,
            not self.retry_failed or last_try(context), self.log,
        )  # fmt: skip

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
        if self.cancel_on_kill:
            by_hand.deferred(carry.ref.name, lambda: run.end(carry.ref))
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

    @contextmanager
    def _edge(self, context: "Context", *, begins: bool = False) -> Iterator[Journal]:
        """Where our errors become Airflow's; a run that no try will come back for is cancelled; all is recorded.

        :param begins: whether the try begins here: what is refused before there is a run is recorded too
        """
        self._journal = journal = journal_of(context, self.log)
        try:
            yield journal
        except GcpJobsError as error:
            last = self._ends(error) or last_try(context)
            if last:
                self._give_up()
            nothing_runs = error.permanent or isinstance(error, NotFound) or not journal.intended
            if begins and self._ref is None and nothing_runs:
                journal.refused(self._meant())
            journal.failed(error, last=last)
            self._forget(context)
            if self._ends(error):
                raise AirflowFailException(str(error)) from None  # the message says it all
            raise
        except AirflowTaskTimeout:
            self._give_up()
            raise
        except KeyboardInterrupt:
            # Ctrl-C on `airflow dags test`, which would take it for a failure and try again; a worker's task gets none
            self._give_up()
            raise AirflowFailException("The task was interrupted") from None
        except Exception:  # not ours; but without a retry nobody comes back for the run
            if last_try(context):
                self._give_up()
            raise
        finally:
            journal.write()

    def _ends(self, error: GcpJobsError) -> bool:
        """Whether Airflow is not to try again after this, though it may have retries left."""
        return error.permanent or (not self.retry_failed and isinstance(error, JobFailed | JobTimedOut))
