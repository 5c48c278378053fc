"""Keeps jobs from what keeps failing, and lets one through after a while to see. Pure.

Nothing is held in a process: the state is computed from the ledger's recent outcomes (gcp_jobs.ledger.queries), for
each place (project, backend, region, machine type, provisioning model) and each dependency or Google API by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeVar

from gcp_jobs.failure import DEPENDENT, ENVIRONMENTAL, FailureClass
from gcp_jobs.ladder import Rung
from gcp_jobs.policy import BreakerLimits

_TASK = ("dag_id", "run_id", "task_id", "map_index")
K = TypeVar("K")
T = TypeVar("T")
_PLACE = ("project", "backend", "region", "machine_type", "provisioning")


class State(StrEnum):
    """HALF_OPEN: one try may go through to see, while none does."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended at what it depended on."""

    at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a breaker says. `until` is when it lets one through, None where that may be now."""

    state: State = State.CLOSED
    failures: int = 0
    until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether to keep away: it is open, or another try is going through to see."""
        return self.until is not None

    def rest_s(self, now: datetime) -> float:
        """Seconds to keep away from now on."""
        return max(0.0, (self.until - now).total_seconds()) if self.until else 0.0


def look(
    outcomes: Iterable[Outcome], now: datetime, limits: BreakerLimits, begun: Iterable[datetime] = ()
) -> Look:
    """Give the state after these outcomes, which may come in any order.

    :param begun: when tries began that have not ended: the first after the pause is the probe, for another pause
    """
    since = now - timedelta(seconds=limits.window)
    recent = sorted((o for o in outcomes if since <= o.at <= now), key=lambda o: (o.at, not o.failed))
    failures: list[Outcome] = []
    for outcome in recent:
        failures = [*failures, outcome] if outcome.failed else []
    if len(failures) < limits.failures:
        return Look(failures=len(failures))
    until = failures[-1].at + timedelta(seconds=limits.pause)
    if now >= until:
        pause = timedelta(seconds=limits.pause)
        probe = max((at for at in begun if until <= at <= now < at + pause), default=None)
        return Look(State.HALF_OPEN, len(failures), probe + pause if probe else None)
    return Look(State.OPEN, len(failures), until)


@dataclass(frozen=True, slots=True)
class Breakers:
    """All breakers at one moment."""

    now: datetime
    limits: BreakerLimits
    places: Mapping[tuple[str | None, ...], tuple[Outcome, ...]]
    names: Mapping[str, tuple[Outcome, ...]]
    begun: Mapping[tuple[str | None, ...], tuple[datetime, ...]] = field(default_factory=dict)
    tried: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, rows: Iterable[Mapping[str, Any]], now: datetime, limits: BreakerLimits,
        under_way: Iterable[Mapping[str, Any]] = (),
    ) -> Self:  # fmt: skip
        """Read rows of the ledger: where an attempt ran, `failure_class`, `dependency`, `ended_at`.

        A place counts failures of the place; what a job does once it runs speaks for it. A name counts network
        failures and its own.

        :param under_way: rows of runs that have not ended, with `created_at`; such a run depends on what failed
            its task before
        """
        places: dict[tuple[str | None, ...], list[Outcome]] = {}
        names: dict[str, list[Outcome]] = {}
        needs: dict[tuple[Any, ...], set[str]] = {}
        for row in rows:
            at = row.get("ended_at")
            if not isinstance(at, datetime):
                continue
            kind = row.get("failure_class")
            place = tuple(row.get(column) or None for column in _PLACE)
            places.setdefault(place, []).append(Outcome(at, kind in ENVIRONMENTAL))
            if name := row.get("dependency"):
                needs.setdefault(_task(row), set()).add(name)
                names.setdefault(name, []).append(
                    Outcome(at, kind in DEPENDENT or kind == FailureClass.QUOTA)
                )
        begun: dict[tuple[str | None, ...], list[datetime]] = {}
        tried: dict[str, list[datetime]] = {}
        for row in under_way:
            begun.setdefault(tuple(row.get(column) or None for column in _PLACE), []).append(
                row["created_at"]
            )
            for name in needs.get(_task(row), ()):
                tried.setdefault(name, []).append(row["created_at"])
        return cls(now, limits, _tuples(places), _tuples(names), _tuples(begun), _tuples(tried))

    def place(self, project: str, rung: Rung) -> Look:
        """What is known of a place. On Cloud Run it is the region: there is nothing else to choose."""
        on_batch = rung.backend == "batch"
        key = (
            project,
            rung.backend,
            rung.region,
            rung.machine_type if on_batch else None,
            rung.provisioning if on_batch else None,
        )
        return look(_at(self.places, key), self.now, self.limits, _at(self.begun, key))

    def name(self, name: str) -> Look:
        """What is known of a dependency or an API."""
        return look(self.names.get(name, ()), self.now, self.limits, self.tried.get(name, ()))


def _at(known: Mapping[tuple[str | None, ...], tuple[T, ...]], key: tuple[str | None, ...]) -> tuple[T, ...]:
    """What is known of a place; of a region on Cloud Run, whatever else the rows say."""
    if key[1] == "batch":
        return known.get(key, ())
    return tuple(each for place, found in known.items() if place[:3] == key[:3] for each in found)


def _task(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in _TASK)


def _tuples(found: Mapping[K, list[T]]) -> dict[K, tuple[T, ...]]:
    return {key: tuple(values) for key, values in found.items()}
