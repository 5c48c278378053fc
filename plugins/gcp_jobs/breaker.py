"""Keeps jobs from what keeps failing, and lets one through after a while to see. Pure.

Nothing is held in a process: the state is computed from the ledger's recent outcomes (gcp_jobs.ledger.queries), for
each place (project, backend, region, machine type, provisioning model) and each dependency or Google API by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from gcp_jobs.failure import DEPENDENT, ENVIRONMENTAL, FailureClass
from gcp_jobs.ladder import Rung
from gcp_jobs.policy import BreakerLimits

_PLACE = ("project", "backend", "region", "machine_type", "provisioning")


class State(StrEnum):
    """HALF_OPEN: one try may go through to see."""

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
    """What a breaker says. `until` is when it lets one through, None unless open."""

    state: State = State.CLOSED
    failures: int = 0
    until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether to keep away."""
        return self.state is State.OPEN

    def rest_s(self, now: datetime) -> float:
        """Seconds to keep away from now on."""
        return max(0.0, (self.until - now).total_seconds()) if self.until else 0.0


def look(outcomes: Iterable[Outcome], now: datetime, limits: BreakerLimits) -> Look:
    """Give the state after these outcomes, which may come in any order."""
    since = now - timedelta(seconds=limits.window)
    recent = sorted((o for o in outcomes if since <= o.at <= now), key=lambda o: (o.at, not o.failed))
    failures: list[Outcome] = []
    for outcome in recent:
        failures = [*failures, outcome] if outcome.failed else []
    if len(failures) < limits.failures:
        return Look(failures=len(failures))
    until = failures[-1].at + timedelta(seconds=limits.pause)
    if now >= until:
        return Look(State.HALF_OPEN, len(failures))
    return Look(State.OPEN, len(failures), until)


@dataclass(frozen=True, slots=True)
class Breakers:
    """All breakers at one moment."""

    now: datetime
    limits: BreakerLimits
    places: Mapping[tuple[str | None, ...], tuple[Outcome, ...]]
    names: Mapping[str, tuple[Outcome, ...]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], now: datetime, limits: BreakerLimits) -> Self:
        """Read rows of the ledger: where an attempt ran, `failure_class`, `dependency`, `ended_at`.

        A place counts failures of the place; what a job does once it runs speaks for it. A name counts network
        failures and its own.
        """
        places: dict[tuple[str | None, ...], list[Outcome]] = {}
        names: dict[str, list[Outcome]] = {}
        for row in rows:
            at = row.get("ended_at")
            if not isinstance(at, datetime):
                continue
            kind = row.get("failure_class")
            place = tuple(row.get(column) or None for column in _PLACE)
            places.setdefault(place, []).append(Outcome(at, kind in ENVIRONMENTAL))
            if name := row.get("dependency"):
                names.setdefault(name, []).append(
                    Outcome(at, kind in DEPENDENT or kind == FailureClass.QUOTA)
                )
        return cls(
            now,
            limits,
            {place: tuple(found) for place, found in places.items()},
            {name: tuple(found) for name, found in names.items()},
        )

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
        found = self.places.get(key, ())
        if not on_batch:
            found = tuple(o for k, outcomes in self.places.items() if k[:3] == key[:3] for o in outcomes)
        return look(found, self.now, self.limits)

    def name(self, name: str) -> Look:
        """What is known of a dependency or an API."""
        return look(self.names.get(name, ()), self.now, self.limits)
