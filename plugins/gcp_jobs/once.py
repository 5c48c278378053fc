"""One run an attempt: a retry or a re-entry finds the run that was started before, and attaches to it.

Cloud Run's RunJob has no idempotency key. So the intent goes to Airflow's task state store first, a run key goes into
the run's environment, and whoever finds an intent looks for its run before starting another. A clear (the DAG run's
`clear_number` moved) or a failed run begins a new generation with a key of its own.

Cloud Run's start tokens (Job.start_execution_token) name an execution beforehand, but take no overrides: each run's
args, env and key must be written into the definition that all runs share. So they are for tasks that ask for them
(CloudRunJobOperator's `start_token`); looks and keys are the same there, only no second run can start.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self, TypeVar

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.errors import ApiError, GcpJobsError, NotFound, QuotaExhausted, TransientApiError
from gcp_jobs.model import ENDING, STOPPED, JobRef, JobState, JobStatus
from gcp_jobs.waiting import Backoff, Log, drive, end, patiently

STORE_KEY = "gcp_jobs"
CLOCK_SKEW = timedelta(minutes=5)
SETTLE_S = 5.0  # how long a list may lag behind a start
REACH_S = 25.0  # how long after another try's intent its start may still go through and show: its deadline, and the lag
T = TypeVar("T")


class StateStore(Protocol):
    """Airflow's task state store: one per (run, task, map index); survives retries and clears."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which task wants a run, and how often its DAG run was cleared."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    clear_number: int

    def run_key(self, generation: int) -> str:
        """Give the key of a generation: the same for every try that means the same run."""
        parts = (self.dag_id, self.run_id, self.task_id, self.map_index, self.clear_number, generation)
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a try set out to start. `run` is empty until the backend has named it; `since` is RFC 3339."""

    generation: int
    clear_number: int
    run_key: str
    job: dict[str, str]
    since: str
    run: str = ""

    @classmethod
    def load(cls, store: StateStore | None) -> Self | None:
        """Read the intent of an earlier try, None where there is none."""
        value = store.get(STORE_KEY) if store is not None else None
        return cls(**{k: value[k] for k in cls.__slots__ if k in value}) if isinstance(value, dict) else None

    def save(self, store: StateStore | None) -> None:
        """Write it down."""
        if store is not None:
            store.set(STORE_KEY, asdict(self))

    @property
    def ref(self) -> JobRef:
        """The run, or the job while the run has no name yet."""
        return replace(JobRef.from_dict(self.job), run=self.run)

    @property
    def named(self) -> bool:
        """Whether the backend has said which run it is."""
        return bool(self.run or self.ref.uid)

    def of(self, ref: JobRef) -> Self:
        """Give the same intent with the run that came of it."""
        return replace(self, job=ref.to_dict(), run=ref.run)


@dataclass(frozen=True, slots=True)
class Started:
    """A run that this attempt owns; `attached` when an earlier try had started it."""

    ref: JobRef
    run_key: str
    attached: bool


@dataclass(slots=True)
class Launcher:
    """Starts one run an attempt. `told` hears of an intent as soon as it is saved, before anything is asked for.

    :param patience_s: how long passing faults are borne
    :param settle_s: how long a run is looked for whose start of ours has no known end
    :param reach_s: how long after an earlier try's intent its run is looked for: it may not be dead, only given up
    """

    backend: JobBackend
    store: StateStore | None
    attempt: Attempt
    patience_s: float
    log: Log
    told: Callable[[Intent], None] = lambda _: None
    settle_s: float = SETTLE_S
    reach_s: float = REACH_S
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def start(self, request: RunRequest, prepare: Callable[[], None]) -> Started:
        """Attach to this attempt's run, or start it; `prepare` runs before a start only.

        :param request: the run; its key is set here
        :raises TransientApiError: the API kept failing for longer than `patience_s`
        :raises ConfigurationRefused: the name that the run would bear is somebody else's, or another spec's
        """
        intent = Intent.load(self.store)
        generation = 0
        if intent:
            found = self._look(intent, self.reach_s)
            status = self._settled(intent, found) if found else None
            if status:
                self.log.info(
                    "Attaching to %s %s (%s) of an earlier try", status.ref.noun, status.ref, status.state
                )
                intent = intent.of(status.ref)
                intent.save(self.store)
                self.told(intent)
                return Started(status.ref, intent.run_key, attached=True)
            generation = self._next_generation(intent, found)
        prepare()
        while (started := self._begin(request, generation)) is None:
            generation += 1
        return started

    def _begin(self, request: RunRequest, generation: int) -> Started | None:
        """Start a generation's run; None when its name is that of a run which is over or ending."""
        key = self.attempt.run_key(generation)
        again = bool(generation or self.attempt.clear_number)
        begun = "" if again else request.begun
        request = replace(request, run_key=key, again=again)
        since, job = begun or datetime.now(UTC).isoformat(), self.backend.place(request)
        intent = Intent(generation, self.attempt.clear_number, key, job.to_dict(), since)
        intent.save(self.store)
        self.told(intent)
        # Batch says so itself, Cloud Run must be asked
        if begun and not job.on_batch and (there := self._find(intent)):
            intent.of(there.ref).save(self.store)
            self.log.info("Attaching to %s %s (%s), begun before", there.ref.noun, there.ref, there.state)
            return Started(there.ref, key, attached=True)
        ref, known = self._submit(intent, request)
        if known and not (begun or attachable(known)):
            self._ended(known)
            return None
        if known:
            intent.of(ref).save(self.store)
            self.log.info("Attaching to %s %s (%s), which was there already", ref.noun, ref, known.state)
            return Started(ref, key, attached=True)
        self.log.info("Started %s %s of %s", ref.noun, ref, ref.parent)
        winner = self._sole(intent, ref)  # first: the store refuses a try that was given up
        intent.of(winner).save(self.store)
        if winner != ref:
            self.log.info("Attaching to %s %s, which another try had started before", winner.noun, winner)
        return Started(winner, key, attached=winner != ref)

    def _settled(self, intent: Intent, status: JobStatus) -> JobStatus | None:
        """Give the earlier try's run if this one should attach to it; else see to it that it is over."""
        same = intent.clear_number == self.attempt.clear_number
        if same and attachable(status):
            winner = self._sole(intent, status.ref)
            return status if winner == status.ref else self._patiently(lambda: self.backend.get(winner))
        if not status.terminal:
            why = "was cleared" if not same else "is to run again"
            self.log.info("The task %s: first %s %s must end", why, status.ref.noun, status.ref)
            self._ended(status)
        if not same:
            self._sole(intent, status.ref)
        return None

    def _ended(self, status: JobStatus) -> None:
        """Cancel a run and confirm that it is over; raises GcpJobsError when it does not end."""
        if status.terminal or drive(end(status.ref, log=self.log), self.backend, status.ref, None):
            return
        raise GcpJobsError(
            f"the {status.ref.noun} of an earlier try does not end", where=status.ref.name,
            todo="Cancel it by hand, then clear the task again.",
        )  # fmt: skip

    def _next_generation(self, intent: Intent, found: JobStatus | None) -> int:
        """A clear starts counting anew; a run that existed and failed is not run again under its own key.

        What was not found keeps its key, and is not looked for once more: a run that shows up just now, of a try that
        was taken for dead, must stand against ours under one key.
        """
        if intent.clear_number != self.attempt.clear_number:
            return 0
        return intent.generation + 1 if intent.named or found else intent.generation

    def _look(self, intent: Intent, within_s: float) -> JobStatus | None:
        """Look for an intent's run; a start without a known end is looked for until lists must show it."""
        age = (datetime.now(UTC) - datetime.fromisoformat(intent.since)).total_seconds()
        until, pace = self.clock() + within_s - max(0.0, age), Backoff(0.5, 2.0)
        while True:
            found = self._find(intent)
            if found or intent.named or intent.ref.on_batch or self.clock() >= until:
                return found
            self.sleep(pace.take())

    def _find(self, intent: Intent) -> JobStatus | None:
        return self._patiently(lambda: self._find_once(intent))

    def _find_once(self, intent: Intent) -> JobStatus | None:
        if intent.named:
            try:
                return self.backend.get(intent.ref)
            except NotFound:
                return None
        return oldest(self._runs(intent))

    def _runs(self, intent: Intent) -> Sequence[JobStatus]:
        since = datetime.fromisoformat(intent.since) - CLOCK_SKEW
        return self.backend.runs(replace(intent.ref, run="", uid=""), intent.run_key, since)

    def _submit(self, intent: Intent, request: RunRequest) -> tuple[JobRef, JobStatus | None]:
        """Ask again after a passing fault, but never without looking whether the call had gone through.

        Gives the run, and its status where it was there before.
        """
        until, pace, known = self.clock() + self.patience_s, Backoff(1.0, 30.0), list[JobStatus]()
        while True:
            try:
                ref = self.backend.submit(request, known.append)
                return ref, known[0] if known else None
            except TransientApiError as error:
                if self.clock() > until and not isinstance(error, QuotaExhausted):
                    raise
                self.log.warning("%s Trying again.", error)
                self.sleep(pace.take())
                found = self._find(intent) if isinstance(error, QuotaExhausted) else self._look_after(intent)
                if found:
                    self.log.info("The call had gone through: %s %s", found.ref.noun, found.ref)
                    return found.ref, None

    def _look_after(self, intent: Intent) -> JobStatus | None:
        """Look for the run of a call whose answer was lost just now."""
        return self._look(replace(intent, since=datetime.now(UTC).isoformat()), self.settle_s)

    def _sole(self, intent: Intent, own: JobRef) -> JobRef:
        """See to it that one run of this key goes on, the oldest: cancel the others and give that one.

        Two tries may live at once: a task store has no compare-and-set. Google's lists may lag, so this waits for a
        list that shows our own run. No list at all is no reason to give up a run that we have.
        """
        if own.on_batch:
            return own
        until, pace = self.clock() + self.settle_s, Backoff(0.2, 2.0)
        while True:
            runs: Sequence[JobStatus] = ()
            try:
                runs = self._runs(intent)
            except TransientApiError as error:
                self.log.warning("%s Looking again for runs of the same key.", error)
            except ApiError as error:
                self.log.warning("Not known whether another try started a run too: %s", error)
                return own
            if any(run.ref == own for run in runs) or self.clock() >= until:
                break
            self.sleep(pace.take())
        winner = oldest(runs)
        for run in runs:
            if winner and run.ref != winner.ref and not run.terminal and run.state not in ENDING:
                self.log.info("Cancelling %s %s: %s is older", run.ref.noun, run.ref, winner.ref)
                drive(end(run.ref, log=self.log), self.backend, run.ref, None)
        return winner.ref if winner else own

    def _patiently(self, ask: Callable[[], T]) -> T:
        return patiently(ask, patience=self.patience_s, log=self.log, sleep=self.sleep, clock=self.clock)


def attachable(status: JobStatus) -> bool:
    """Whether a try may wait for this run: it goes on, or it has ended well."""
    return status.state is JobState.SUCCEEDED or not (status.terminal or status.state in ENDING)


def oldest(runs: Sequence[JobStatus]) -> JobStatus | None:
    """Which run of a key counts: the oldest that nobody cancelled, else the oldest; every try decides alike."""
    last = datetime.max.replace(tzinfo=UTC)
    return min(runs, key=lambda run: (run.state in STOPPED, run.created or last, run.ref.run), default=None)
