"""What one Airflow try tells the ledger over its life. Never in the way: what the ledger does not take now waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from gcp_jobs.errors import (
    ApiError,
    ConnectionMissing,
    GcpJobsError,
    JobFailed,
    JobTimedOut,
    LedgerUnavailable,
    SettingsError,
    TemplateError,
    UnknownParams,
)
from gcp_jobs.failure import FailureClass, of_error
from gcp_jobs.ledger import pending
from gcp_jobs.ledger.record import Action, Attempt, Record, Run, Source, Via, entry_of, joined, reached
from gcp_jobs.ledger.scrub import Scrubber
from gcp_jobs.ledger.spool import Spool
from gcp_jobs.model import TERMINAL, ExitInfo, JobRef, JobResult, JobSpec, JobState, JobStatus

REFUSED = "NEVER_STARTED"
REPLAY_OF = "GCP_JOBS_REPLAY_OF"  # in a run's environment: the dead letter that it repeats


class Log(Protocol):
    """A logger of Airflow's or of the standard library."""

    def info(self, msg: str, /, *args: Any) -> Any: ...
    def warning(self, msg: str, /, *args: Any) -> Any: ...


class Intent(Protocol):
    """What a try set out to start (gcp_jobs.once.Intent)."""

    @property
    def generation(self) -> int: ...
    @property
    def clear_number(self) -> int: ...
    @property
    def run_key(self) -> str: ...
    @property
    def since(self) -> str: ...
    @property
    def ref(self) -> JobRef: ...


@dataclass(frozen=True, slots=True)
class Task:
    """Which Airflow try writes, and why it runs (`trigger_kind`: manual, scheduled, backfill, ...)."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    trigger_kind: str | None = None
    triggered_by: str | None = None


@dataclass(slots=True)
class Journal:
    """Gathers records and writes them where the life of a run has its joints (`write`).

    :param open_ledger: gives the ledger, None where there is none; asked at the first write
    """

    task: Task
    store: pending.StateStore | None
    log: Log
    scrub: Scrubber
    open_ledger: Callable[[], pending.Writer | None]
    default_account: str | None = None
    spool: Spool | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _run: Run | None = None
    _records: list[Record] | None = None
    _looked: bool = False
    _left: bool = False

    # what happened

    def intends(self, intent: Intent, spec: JobSpec | None, overrides: Mapping[str, Any]) -> None:
        """A run is about to be asked for, or one that an earlier try asked for is taken over."""
        entry = entry_of(intent.run_key, intent.since)
        plain = spec.model_dump(mode="json") if spec else None
        self.scrub.learn(plain)
        self.scrub.learn(overrides)
        self._run = replace(
            self._begin(entry, intent.ref),
            clear_number=intent.clear_number,
            generation=intent.generation,
            run_key=intent.run_key,
            trigger_kind=self.task.trigger_kind,
            triggered_by=self.task.triggered_by,
            service_account=(spec.service_account if spec else None) or self.default_account,
            machine_type=spec.machine_type if spec else None,
            provisioning=spec.provisioning.value if spec else None,
            spec=self.scrub.clean(plain),
            overrides=self.scrub.clean(overrides) or None,
            digest=spec.digest if spec else None,
            created_at=datetime.fromisoformat(intent.since),
            replay_of=(overrides.get("env") or {}).get(REPLAY_OF),
        )
        self._add(self._run)

    @property
    def intended(self) -> bool:
        """Whether this try has said which run it means."""
        return self._run is not None

    def refused(self, ref: JobRef) -> None:
        """Nothing runs: the try is refused before Google has taken its job. `failed` says why.

        :param ref: what was to run, as far as that is known
        """
        now, task = self.clock(), self.task
        if self._run is None:
            key = "\n".join(
                map(str, (task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number))
            )
            blank = self._begin(entry_of(key, now.isoformat()), ref)
            kind, who = task.trigger_kind, task.triggered_by
            self._run = replace(blank, created_at=now, trigger_kind=kind, triggered_by=who)
        self._run = replace(self._run, state=JobState.FAILED, ended_at=now, reason=REFUSED)

    def started(
        self, ref: JobRef, *, attached: bool, logs_url: str, number: int = 1, rung: str | None = None
    ) -> str:
        """Google has named the run. Gives its entry, by which a later process takes up the tale.

        :param number: which of our own attempts within the Airflow try it is
        :param rung: where on the capacity ladder
        """
        if self._run is None:
            return ""
        now = self.clock()
        self._run = replace(self._at(self._run, ref), logs_url=logs_url)
        via = Via.ATTACHED if attached else Via.STARTED
        self._add(self._run, Attempt(self._run.entry, self.task.try_number, number, via, rung, now))
        return self._run.entry

    def resumed(self, entry: str, ref: JobRef) -> None:
        """Another process of the same try goes on with the run."""
        self._run = self._begin(entry, ref) if entry else None

    def reads(self, status: JobStatus, source: Source = Source.TASK) -> None:
        """A read of the run said this."""
        if self._run is None:
            return
        now, uid = self.clock(), self._run.run_uid or status.ref.uid or status.ref.name
        ended = (status.ended or now) if status.terminal else None
        ours = source is Source.CANCEL and status.state is JobState.CANCELLED
        self._run = replace(
            self._run,
            state=status.state,
            submitted_at=status.created,
            started_at=status.started,
            ended_at=ended,
            reason=status.reason or None if status.terminal else None,
            failure_class=FailureClass.CANCELLED.value if ours else None,
        )
        self._add(self._run, *reached(status, uid, now, source))

    def succeeded(self, result: JobResult) -> None:
        """The verdict is a success."""
        if self._run is None:
            return
        self._run = replace(self._run, exit_code=result.exit_code)
        self._add(self._run, Attempt(self._run.entry, self.task.try_number, ended_at=self.clock()))

    def failed(self, error: GcpJobsError, *, last: bool, action: Action | None = None) -> None:
        """The attempt ends with this error.

        :param last: Airflow has no other try left
        :param action: what follows; None leaves it to Airflow's retries
        """
        if self._run is None:
            return
        failure = error.failure if isinstance(error, JobFailed) else None
        kind = (failure.kind if failure else _class_of(error)).value
        what = self.scrub.text(failure.cause if failure else error.what)
        ended_so = isinstance(error, JobFailed | JobTimedOut) or self._run.reason == REFUSED
        if self._run.state in TERMINAL and ended_so:
            ended = getattr(error, "exit_info", None) or ExitInfo()
            self._run = replace(
                self._run, failure_class=kind, exit_code=ended.code, signal=ended.signal, failed_task=ended.task,
                message=what, remedy=self.scrub.text(failure.todo if failure else error.todo),
            )  # fmt: skip
        attempt = Attempt(
            self._run.entry,
            self.task.try_number,
            ended_at=self.clock(),
            failure_class=kind,
            action=action or _follows(kind, last=last or error.permanent),
            dependency=_dependency(error, self._run.backend),
            message=what,
        )
        self._add(self._run, attempt)

    # how it gets there

    def write(self, *, wait: bool = True) -> None:
        """Bring what is gathered into the ledger, and before it what waited; else let all wait (`wait`)."""
        try:
            self._write(wait)
        except LedgerUnavailable as error:
            self.log.info("The ledger will be told later: %s", error)
        except GcpJobsError as error:
            self.log.warning("Nothing is written to the ledger: %s", error)
        except Exception as error:
            # Airflow's connections and state store may fail in any way; a job must not fail with its record
            self.log.warning("Nothing is written to the ledger: %s: %s", type(error).__name__, error)

    def _write(self, wait: bool) -> None:
        ledger = self.open_ledger()
        if ledger is None:
            self._records = None
            return
        if not self._looked and self.store is not None and wait:
            waiting = pending.load(self.store)
            self._records = [*waiting, *(self._records or [])]
            self._looked, self._left = True, bool(waiting)
        batch = joined(self._records or [])
        if not batch:
            return
        try:
            refused = ledger.write(batch)
        except LedgerUnavailable:
            if wait:
                self._wait_with(batch)
            raise
        for record, why in refused:
            self.log.warning("The ledger will never take %s: %s", record, why)
        self._records = None
        if self._left and wait:
            self._wait_with([])
        if self.spool and wait:
            self.spool.drain(ledger)

    def _wait_with(self, batch: list[Record]) -> None:
        """Let these wait, where the next try finds them and where other tasks of this machine do; none: no more."""
        task, self._left = self.task, bool(batch)
        if self.spool:
            self.spool.keep((task.dag_id, task.run_id, task.task_id, task.map_index), batch)
        if self.store is not None:
            pending.save(self.store, batch)

    def _add(self, *records: Record) -> None:
        self._records = [*(self._records or []), *records]

    def _begin(self, entry: str, ref: JobRef) -> Run:
        task = self.task
        blank = Run(
            entry, task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number, ref.backend, ref.project,
            ref.region, ref.job,
        )  # fmt: skip
        return self._at(blank, ref)

    def _at(self, run: Run, ref: JobRef) -> Run:
        named = ref.uid or ref.run
        return replace(
            run, job=ref.job, run=ref.run or None, run_uid=(ref.uid or ref.name) if named else None
        )


def _follows(kind: str, *, last: bool) -> Action:
    """Whatever fails for good is a dead letter, but for what somebody cancelled."""
    if not last:
        return Action.RETRY
    return Action.STOP if kind == FailureClass.CANCELLED.value else Action.DEAD_LETTER


def _class_of(error: GcpJobsError) -> FailureClass:
    if isinstance(error, TemplateError | SettingsError | ConnectionMissing | UnknownParams):
        return FailureClass.CONFIGURATION
    return FailureClass.TIMED_OUT if isinstance(error, JobTimedOut) else of_error(error).kind


def _dependency(error: GcpJobsError, backend: str) -> str | None:
    """What failed the try, where that is neither the job nor its place: an API, or what the template names."""
    if isinstance(error, ApiError):
        return "batch.googleapis.com" if backend == "batch" else "run.googleapis.com"
    failure = error.failure if isinstance(error, JobFailed) else None
    return failure.dependency or None if failure else None
