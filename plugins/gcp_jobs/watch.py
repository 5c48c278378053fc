"""Watches a run's tasks for silence: says so in the log, and, where the job may run twice, ends the wait for it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.errors import GcpJobsError
from gcp_jobs.logs import LogFollower
from gcp_jobs.logs.lines import Lines
from gcp_jobs.model import JobRef
from gcp_jobs.settings import settings
from gcp_jobs.stragglers import TaskSight, stragglers
from gcp_jobs.waiting import Log

LEAST_LOOK_S = 0.5
WHOLE_S = 10.0


@dataclass(slots=True)
class Watch:
    """One wait's look at its tasks, now and then: four times a heartbeat, else as often as waits sweep.

    :param heartbeat_s: how long a task may be silent; None: twice the median of its finished siblings
    :param again: whether to end the wait for a run with a silent task
    :param sole: whether the run has but one task: while that one talks, nothing is asked
    """

    ref: JobRef
    backend: JobBackend
    lines: Lines
    log: Log
    heartbeat_s: float | None
    again: bool
    sole: bool
    _began: float = field(default_factory=time.time)
    _due: float = 0.0
    _told: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        wanted: Mapping[str, Any],
        ref: JobRef,
        backend: JobBackend,
        lines: Lines,
        log: Log,
        *,
        sole: bool,
    ) -> "Watch":
        """Read what travels with the wait: `heartbeat` in seconds, `again`."""
        return cls(ref, backend, lines, log, wanted.get("heartbeat"), bool(wanted.get("again")), sole)

    @property
    def every_s(self) -> float:
        """Seconds between two looks."""
        return (
            settings().sweep_seconds if self.heartbeat_s is None else max(LEAST_LOOK_S, self.heartbeat_s / 4)
        )

    def poll(self, catch_up: Callable[[], None]) -> str:
        """Look if it is time to; gives why the run is to be left.

        :param catch_up: brings the log up to now
        """
        now = time.monotonic()
        if now < self._due:
            return ""
        begun, self._due = self._due > 0, now + self.every_s
        if not begun or self._talks():
            return ""
        catch_up()
        try:
            return self._judge(self.backend.sights(self.ref))
        except GcpJobsError as error:
            self.log.info("Whether tasks are silent is not known just now: %s", error)
            return ""

    async def run(self, whole: asyncio.Event) -> str:
        """Look for ever; ends with why the run is to be left.

        :param whole: set while nothing of the log is known to be missing
        """
        while True:
            await asyncio.sleep(self.every_s)
            if self._talks():
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(whole.wait(), WHOLE_S)
            if not whole.is_set():
                continue
            try:
                why = self._judge(await self.backend.asights(self.ref))
            except GcpJobsError as error:
                self.log.info("Whether tasks are silent is not known just now: %s", error)
                continue
            if why:
                return why

    def _talks(self) -> bool:
        heard = max(self.lines.heard.values(), default=0) / 1e9
        return bool(self.sole and self.heartbeat_s) and time.time() - heard <= (self.heartbeat_s or 0)

    def _judge(self, tasks: Iterable[TaskSight]) -> str:
        found = list(stragglers(map(self._heard, tasks), datetime.now(UTC), self.heartbeat_s))
        for late in found:
            if late.index not in self._told:
                self._told.add(late.index)
                self.log.warning("%s %s: %s", self.ref.noun.capitalize(), self.ref, late)
        return str(found[0]) if found and self.again else ""

    def _heard(self, task: TaskSight) -> TaskSight:
        """What was said before this watch began is not known: it counts from its own beginning at the earliest."""
        last = max(self._began, self.lines.heard.get(str(task.index), 0) / 1e9)
        at = datetime.fromtimestamp(last, UTC)
        return replace(task, heard=max(at, task.heard) if task.heard else at)


@dataclass(frozen=True, slots=True)
class Followers:
    """Brings a run's log lines, and looks at its tasks beside."""

    log: LogFollower
    watch: Watch

    def poll(self) -> str | None:
        """Do both; gives why the run is to be left alone, where it is."""
        self.log.poll()
        return self.watch.poll(self.log.catch_up) or None
