"""One try's hold on its run: what it means to run, which run it answers for, and when it lets go of it."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, Any

from gcp_jobs import ownership
from gcp_jobs.backends.base import RunRequest
from gcp_jobs.errors import ApiError
from gcp_jobs.job_run import JobRun
from gcp_jobs.ledger.journal import Journal
from gcp_jobs.ledger.record import Source
from gcp_jobs.links import urls
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.once import CLOCK_SKEW, Attempt, Intent, StateStore, oldest
from gcp_jobs.operators import elsewhere
from gcp_jobs.operators.arguments import JobArguments
from gcp_jobs.operators.attempts import Attempts, remember
from gcp_jobs.operators.context import attempt_of
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate

if TYPE_CHECKING:
    from airflow.sdk import Context

KILLED_S = 4.0  # from the return of on_kill to SIGKILL there are 5


class HoldsRun(JobArguments):
    """Keeps what one process knows of a try: its attempts, its run, its record."""

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

    # what it means to run

    def _attempt(self, context: "Context") -> Attempt:
        """Say which run this task means."""
        return attempt_of(context)

    def _memory(self, context: "Context") -> tuple[StateStore | None, int]:
        return context.get("task_state_store"), attempt_of(context).clear_number

    def _forget(self, context: "Context") -> None:
        """The next try begins afresh."""
        if self._attempts and self._attempts.history.past:
            remember(*self._memory(context), None)

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

    # what it answers for

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

    def _give_up(self) -> None:
        ref = self._unfinished or self._begun() if self.cancel_on_kill else None
        if ref:
            status = self._run().end(ref)
            if status and self._journal:
                self._journal.reads(status, Source.CANCEL)
        self._unfinished = self._starting = None
