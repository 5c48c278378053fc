"""What an operator does about an attempt that failed or cannot start: rest and run again, or leave it to Airflow."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gcp_jobs.decision import Action, Decision, stuck
from gcp_jobs.errors import ApiError, GcpJobsError, JobFailed
from gcp_jobs.failure import Failure, FailureClass
from gcp_jobs.job_run import Carry, JobRun
from gcp_jobs.ledger import record
from gcp_jobs.ledger.journal import Journal
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.once import StateStore
from gcp_jobs.operators.attempts import Attempts, remember, said
from gcp_jobs.waiting import Log


@dataclass(frozen=True)
class Aftermath:
    """The tools for it.

    :param last: whether no retry of Airflow is left
    """

    attempts: Attempts
    run: JobRun
    journal: Journal
    store: StateStore | None
    clear_number: int
    last: bool
    log: Log

    def follow(self, error: JobFailed, carry: Carry) -> Carry:
        """Give the rest before the next attempt.

        :raises JobFailed: there is none; it says why
        """
        failure: Failure = error.failure
        decision = self.attempts.next(
            failure, self.log, carry.deadline, lambda: self._failed_tasks(carry.ref), carry.entry
        )
        if decision.action is not Action.STOP:
            return self._next(error, decision, carry)
        why = said(decision, last=self.last)
        self.log.info("Attempt %d was the last of this try. %s", self.attempts.number, why)
        error.todo = f"{why[:1].upper()}{why[1:]}. {error.todo}"
        raise error

    def unstick(self, status: JobStatus, carry: Carry) -> Carry | JobStatus:
        """Leave a place that has no machine for the run, where there is another; else let it wait on.

        Gives the status instead where the run ended by itself meanwhile.
        """
        failure = stuck(status, self.attempts.policy, datetime.now(UTC))
        if failure is None:
            return carry
        decision = self.attempts.next(failure, self.log, carry.deadline, tuple, carry.entry)
        if decision.action is Action.STOP:
            self.log.warning(
                "%s %s waits on for machines: %s", carry.ref.noun.capitalize(), carry.ref, failure.cause
            )
            return replace(carry, patience=None)
        return self._leave(failure, decision, status, carry)

    def outrun(self, why: str, status: JobStatus, carry: Carry) -> Carry | JobStatus:
        """Run again elsewhere what went silent, once its cancel is confirmed, within the budget of host_lost.

        Gives the status instead where the run ended by itself meanwhile.

        :param why: which task is silent, and for how long
        """
        failure = Failure(
            FailureClass.HOST_LOST, why, "Find out in its log what the task last did.", evidence=why
        )
        decision = self.attempts.leaving.next(
            failure, self.log, carry.deadline, lambda: self._failed_tasks(carry.ref), carry.entry
        )
        if decision.action is Action.STOP:
            self.log.warning(
                "%s %s is waited for all the same: %s", carry.ref.noun.capitalize(), carry.ref, decision.why
            )
            return replace(carry, watch={**(carry.watch or {}), "again": False})
        return self._leave(failure, decision, status, carry)

    def _leave(
        self, failure: Failure, decision: Decision, status: JobStatus, carry: Carry
    ) -> Carry | JobStatus:
        self.log.warning("%s %s: %s", carry.ref.noun.capitalize(), carry.ref, failure.cause)
        ended = self.run.end(carry.ref)
        if ended is None:
            raise GcpJobsError(
                f"{failure.cause}, and the {carry.ref.noun} does not end", where=carry.ref.name,
                todo="Cancel it by hand, then clear the task.",
            )  # fmt: skip
        if ended.state not in (JobState.CANCELLED, JobState.GONE):
            return ended
        self.journal.reads(ended)
        error = failure.error(status)
        error.failure = failure
        return self._next(error, decision, carry)

    def _next(self, error: JobFailed, decision: Decision, carry: Carry) -> Carry:
        failure, number = error.failure, self.attempts.number
        history = self.attempts.history.after(failure, decision, carry.ref.name)
        remember(self.store, self.clear_number, history)
        self.journal.failed(error, last=False, action=record.Action(decision.action.value))
        self.journal.write()
        self.log.warning("Attempt %d (%s) failed: %s. %s", number, carry.ref, failure.cause, decision.why)
        return replace(
            carry,
            history=history.to_dict(),
            patience=None,
            watch=None,
            not_before=time.time() + decision.delay_s,
        )

    def _failed_tasks(self, ref: JobRef) -> tuple[int, ...]:
        try:
            return self.run.backend.failed_tasks(ref)
        except ApiError as error:
            self.log.warning("Which tasks failed is not known, so all are run again: %s", error)
            return ()
