"""Which tasks of a job have been silent for too long: no log line, no change of state. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median

FACTOR = 2.0
LEAST_S = 60.0
SIBLINGS = 3


@dataclass(frozen=True, slots=True)
class TaskSight:
    """What is known of one task: when it started, ended, and was last heard of (log line or change of state)."""

    index: int
    started: datetime | None = None
    ended: datetime | None = None
    heard: datetime | None = None


@dataclass(frozen=True, slots=True)
class Straggler:
    """A task that was silent for `silent_s` seconds, longer than `limit_s`; `why` says what the limit is."""

    index: int
    silent_s: float
    limit_s: float
    why: str

    def __str__(self) -> str:
        return f"task {self.index} is silent for {self.silent_s:.0f} s, longer than {self.limit_s:.0f} s ({self.why})"


def limit(tasks: Iterable[TaskSight], heartbeat_s: float | None = None) -> tuple[float, str] | None:
    """Give the longest silence and what it comes from: the heartbeat, else twice the median of finished siblings.

    None as long as fewer than SIBLINGS have finished: there is nothing to compare with.
    """
    if heartbeat_s is not None:
        return heartbeat_s, "the heartbeat"
    took = [(t.ended - t.started).total_seconds() for t in tasks if t.started and t.ended]
    if len(took) < SIBLINGS:
        return None
    return max(LEAST_S, FACTOR * median(took)), f"{FACTOR:g} times the median of {len(took)} finished tasks"


def stragglers(
    tasks: Iterable[TaskSight], now: datetime, heartbeat_s: float | None = None
) -> Iterator[Straggler]:
    """Give the running tasks that were silent for longer than the limit, in the order of their index."""
    known = sorted(tasks, key=lambda task: task.index)
    found = limit(known, heartbeat_s)
    if found is None:
        return
    for task in known:
        if task.started is None or task.ended is not None:
            continue
        silent = (now - max(task.started, task.heard or task.started)).total_seconds()
        if silent > found[0]:
            yield Straggler(task.index, silent, *found)
