"""One run an attempt: a retry or a re-entry finds the run that was started before, and attaches to it.

Cloud Run's RunJob has no idempotency key. So the intent goes to Airflow's task state store first, a run key goes into
the run's environment, and whoever finds an intent looks for its run before starting another. A clear (the DAG run's
`clear_number` moved) or a failed run begins a new generation with a key of its own.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.errors import GcpJobsError, NotFound, QuotaExhausted, TransientApiError
from gcp_jobs.model import ENDING, JobRef, JobState, JobStatus
from gcp_jobs.waiting import Backoff, Log, drive, end, patiently

STORE_KEY = "gcp_jobs"
CLOCK_SKEW = timedelta(minutes=5)


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
    """Starts one run an attempt. `told` hears of an intent as soon as it is saved, before anything is asked for."""

    backend: JobBackend
    store: StateStore | None
    attempt: Attempt
    patience_s: float
    log: Log
    told: Callable[[Intent], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def start(self, request: RunRequest, prepare: Callable[[], None]) -> Started:
        """Attach to this attempt's run, or start it; `prepare` runs before a start only.

        :param request: the run; its key is set here
        :raises TransientApiError: the API kept failing for longer than `patience_s`
        """
        intent = Intent.load(self.store)
        generation = 0
        if intent:
            status = self._settled(intent)
            if status:
                self.log.info(
                    "Attaching to %s %s (%s) of an earlier try", status.ref.noun, status.ref, status.state
                )
                intent = intent.of(status.ref)
                intent.save(self.store)
                self.told(intent)
                return Started(status.ref, intent.run_key, attached=True)
            generation = self._next_generation(intent)
        prepare()
        key = self.attempt.run_key(generation)
        again = bool(generation or self.attempt.clear_number)
        request = replace(request, run_key=key, again=again)
        since, job = datetime.now(UTC).isoformat(), self.backend.place(request)
        intent = Intent(generation, self.attempt.clear_number, key, job.to_dict(), since)
        intent.save(self.store)
        self.told(intent)
        ref = self._submit(intent, request)
        intent.of(ref).save(self.store)
        self.log.info("Started %s %s of %s", ref.noun, ref, ref.parent)
        return Started(ref, key, attached=False)

    def _settled(self, intent: Intent) -> JobStatus | None:
        """Give the earlier try's run if this one should attach to it; else see to it that it is over."""
        status = self._patiently(lambda: self._find(intent))
        if status is None or (status.terminal and status.state is not JobState.SUCCEEDED):
            return None
        if intent.clear_number == self.attempt.clear_number and status.state not in ENDING:
            return status
        if not status.terminal:
            self.log.info(
                "The task was cleared: ending %s %s before a new one starts", status.ref.noun, status.ref
            )
            if drive(end(status.ref, log=self.log), self.backend, status.ref, None) is None:
                raise GcpJobsError(
                    f"the {status.ref.noun} of the cleared try does not end", where=status.ref.name,
                    todo="Cancel it by hand, then clear the task again.",
                )  # fmt: skip
        return None

    def _next_generation(self, intent: Intent) -> int:
        """A clear starts counting anew; a run that existed and failed is not run again under its own key."""
        if intent.clear_number != self.attempt.clear_number:
            return 0
        return (
            intent.generation + 1
            if self._patiently(lambda: self._find(intent)) or intent.named
            else intent.generation
        )

    def _find(self, intent: Intent) -> JobStatus | None:
        if intent.named:
            try:
                return self.backend.get(intent.ref)
            except NotFound:
                return None
        since = datetime.fromisoformat(intent.since) - CLOCK_SKEW
        return self.backend.find(intent.ref, intent.run_key, since)

    def _submit(self, intent: Intent, request: RunRequest) -> JobRef:
        """Ask again after a passing fault, but never without looking whether the call had gone through."""
        until, pace = self.clock() + self.patience_s, Backoff(1.0, 30.0)
        while True:
            try:
                return self.backend.submit(request)
            except TransientApiError as error:
                if self.clock() > until and not isinstance(error, QuotaExhausted):
                    raise
                self.log.warning("%s Trying again.", error)
                self.sleep(pace.take())
                found = self._patiently(lambda: self._find(intent))
                if found:
                    self.log.info("The call had gone through: %s %s", found.ref.noun, found.ref)
                    return found.ref

    def _patiently(self, ask: Callable[[], JobStatus | None]) -> JobStatus | None:
        return patiently(ask, patience=self.patience_s, log=self.log, sleep=self.sleep, clock=self.clock)
