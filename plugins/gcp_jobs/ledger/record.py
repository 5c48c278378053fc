"""What the ledger holds, as values. Pure: imports neither Airflow nor SQLAlchemy.

A record says what its writer knows, the rest is None. Records of one run may come late, twice and in any order:
what is known is never unlearnt, a state never goes back, and the first terminal state stays with all that came with it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Self, get_type_hints

from gcp_jobs.model import ENDING, TERMINAL, JobState, JobStatus

RANK: dict[JobState, int] = {
    JobState.QUEUED: 1,
    JobState.SCHEDULED: 2,
    JobState.RUNNING: 3,
    **dict.fromkeys(ENDING, 4),
    **dict.fromkeys(TERMINAL, 5),
}
OUTCOME = (
    "ended_at", "failure_class", "exit_code", "signal", "failed_task", "reason", "message", "remedy",
)  # fmt: skip
WHOLE_JOB = -1


def entry_of(run_key: str, since: str) -> str:
    """Give a run's number in the ledger: its key, and when it was meant (a deleted DAG run may be run again)."""
    return hashlib.sha256(f"{run_key}\n{since}".encode()).hexdigest()[:32]


class Source(StrEnum):
    """Who saw a state: the task's own read, its cancel, a Pub/Sub event, the reconciliation."""

    TASK = "task"
    CANCEL = "cancel"
    EVENT = "event"
    RECONCILE = "reconcile"


class Via(StrEnum):
    """How a try came to its run."""

    STARTED = "started"
    ATTACHED = "attached"


class Action(StrEnum):
    """What followed a try that failed."""

    STOP = "stop"  # somebody cancelled it
    RETRY = "retry"  # Airflow's own retries
    AGAIN = "again"  # ours, at the same place
    CLIMB = "climb"  # ours, one rung further
    DEAD_LETTER = "dead_letter"  # it failed for good: every budget is spent, or another try would end alike


class Verdict(StrEnum):
    """What somebody decided about a run that is over."""

    DISCARDED = "discarded"


class _Record:
    """What all have: to and from the JSON that waits in the task state store, and what several say of one thing."""

    __slots__ = ()
    KEY: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        _require_utc(self)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two records speak of one thing."""
        return tuple(str(getattr(self, name)) for name in self.KEY)

    def join(self, later: Self) -> Self:
        """Say what both say; here: whoever came first."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Give what is known, times as RFC 3339."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}  # type: ignore[arg-type]
        return {name: v.isoformat() if isinstance(v, datetime) else v for name, v in known.items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; keys that another release wrote are ignored."""
        kinds = get_type_hints(cls)
        hints = {f.name: kinds[f.name] for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: _typed(hints[name], value[name]) for name in hints if name in value})


def _typed(hint: Any, value: Any) -> Any:
    kinds = getattr(hint, "__args__", (hint,))
    if isinstance(value, str):
        for kind in kinds:
            if kind is datetime:
                return datetime.fromisoformat(value)
            if isinstance(kind, type) and issubclass(kind, StrEnum):
                return kind(value)
    return value


def _require_utc(record: object) -> None:
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{field.name} has no time zone")
            object.__setattr__(record, field.name, value.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class Run(_Record):
    """One run of a job: an execution on Cloud Run, on Batch a job.

    :param entry: its number here (`entry_of`); it comes before Google has given it a name
    :param try_number: the Airflow try that started it
    :param state: None until Google has named it
    :param run_uid: Batch's uid of the job, else the execution's full name: how events call it
    :param spec: JobSpec as JSON, `overrides` what this run changed; both name secrets and never hold one
    :param created_at: when it was meant; `submitted_at` when Google took it
    :param failed_task: index of the task that decided the failure
    :param cost: in `currency`, by the prices that `cost_basis` names
    :param replay_of: entry of the dead letter that it repeats
    """

    KEY = ("entry",)

    entry: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    backend: str
    project: str
    region: str
    job: str
    clear_number: int | None = None
    generation: int | None = None
    run_key: str | None = None
    run: str | None = None
    run_uid: str | None = None
    trigger_kind: str | None = None
    triggered_by: str | None = None
    service_account: str | None = None
    machine_type: str | None = None
    provisioning: str | None = None
    spec: dict[str, Any] | None = None
    overrides: dict[str, Any] | None = None
    digest: str | None = None
    created_at: datetime | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: JobState | None = None
    failure_class: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    failed_task: int | None = None
    reason: str | None = None
    message: str | None = None
    remedy: str | None = None
    logs_url: str | None = None
    cost: float | None = None
    currency: str | None = None
    cost_basis: str | None = None
    replay_of: str | None = None

    def __post_init__(self) -> None:
        _require_utc(self)
        if self.state not in TERMINAL and any(getattr(self, name) is not None for name in OUTCOME):
            raise ValueError("an outcome belongs to a terminal state")
        if self.started_at and self.ended_at and self.ended_at < self.started_at:
            object.__setattr__(self, "ended_at", self.started_at)

    def join(self, later: Self) -> Self:
        """Say what both say, as the database would after writing one and then the other."""
        known = {
            f.name: getattr(later, f.name)
            for f in fields(self)
            if f.name not in OUTCOME and f.name != "state" and getattr(self, f.name) is None
        }
        if _rank(later.state) > _rank(self.state):
            known["state"] = later.state
        if later.state in TERMINAL and (self.state not in TERMINAL or self.state is later.state):
            known |= {n: getattr(later, n) for n in OUTCOME if getattr(self, n) is None}
        started, ended = known.get("started_at", self.started_at), known.get("ended_at", self.ended_at)
        if started and ended and ended < started:
            known |= {"ended_at": started} if self.ended_at is None else {"started_at": self.ended_at}
        return replace(self, **known)


@dataclass(frozen=True, slots=True)
class Attempt(_Record):
    """One Airflow try's hold on a run.

    :param number: which of our own attempts within the Airflow try it was, from 1
    :param rung: where on the capacity ladder it ran
    :param dependency: what failed it, where that has a name: an API (`run.googleapis.com`), `source`, `destination`
    """

    KEY = ("entry", "try_number")

    entry: str
    try_number: int
    number: int | None = None
    via: Via | None = None
    rung: str | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure_class: str | None = None
    action: Action | None = None
    dependency: str | None = None
    message: str | None = None

    def join(self, later: Self) -> Self:
        """Say what both say; the earlier wins."""
        return replace(
            self,
            **{f.name: getattr(later, f.name) for f in fields(self) if getattr(self, f.name) is None},
        )


@dataclass(frozen=True, slots=True)
class Transition(_Record):
    """A state that a run (`task` WHOLE_JOB) or a task of it reached, once each; `attempt` is the platform's own."""

    KEY = ("run_uid", "task", "attempt", "state")

    run_uid: str
    state: str
    at: datetime
    source: Source
    task: int = WHOLE_JOB
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Decision(_Record):
    """What somebody decided about a run, and why; the first decision of a kind stands."""

    KEY = ("entry", "verdict")

    entry: str
    verdict: Verdict
    at: datetime
    by: str
    reason: str


Record = Run | Attempt | Transition | Decision
KINDS: dict[str, type[Run] | type[Attempt] | type[Transition] | type[Decision]] = {
    "run": Run, "attempt": Attempt, "transition": Transition, "decision": Decision,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}


def kind_of(record: Record) -> str:
    """Name of a record's kind."""
    return _NAMES[type(record)]


def joined(records: Iterable[Record]) -> list[Record]:
    """Leave one record a thing, in an order that is the same for every writer (so that none waits for another)."""
    found: dict[tuple[str, ...], Any] = {}
    for record in records:
        key = (kind_of(record), *record.key)
        found[key] = found[key].join(record) if key in found else record
    return [found[key] for key in sorted(found, key=lambda k: (list(KINDS).index(k[0]), k))]


def state_of(run: Mapping[str, Any]) -> str:
    """A run's state as its row has it; where none was told yet, how far it has come."""
    return run["state"] or ("started" if run["run_uid"] else "not started")


def reached(status: JobStatus, uid: str, at: datetime, source: Source) -> Iterator[Transition]:
    """Read the transitions out of one status of a run; `at` stands in for a time that it does not tell."""
    seen = {JobState.QUEUED: status.created, JobState.RUNNING: status.started}
    if status.state not in seen:
        seen[status.state] = status.ended if status.terminal else at
    for state, when in seen.items():
        when = when or (at if state is status.state else None)
        if when:
            yield Transition(uid, state, when, source)


def _rank(state: JobState | None) -> int:
    return RANK[state] if state else 0
