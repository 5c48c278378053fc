"""The fast level: thousands of blows on the small Airflow's workers and triggerers, at every boundary of every call."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks.chaos.cloud import GOING, ChaosCloud, Strike
from benchmarks.chaos.judge import Deed, Tally, judged
from benchmarks.chaos.load import stretched
from benchmarks.chaos.plan import Act, Blow, Plan, plan
from benchmarks.chaos.points import Point, points
from benchmarks.chaos.processes import Task, Triggerer, Worker, Zygote
from benchmarks.chaos.recovery import Watch, summary
from benchmarks.chaos.small import SmallAirflow
from benchmarks.chaos.strikes import Striker
from benchmarks.chaos.weather import Weather

from gcp_emulator import process
from laptop import environment
from laptop.place import ROOT
from laptop.progress import Progress

SLOTS = 10
RECORDED = 30
RECONCILE_S, GRACE_S = 15.0, 5.0
DRAIN_S = 150.0
SETTLE_S, REACH_S = 1.2, 3.0
BLOWS = {
    "worker": (Blow.KILL.value, Blow.GHOST.value, Blow.EVICT.value),
    "triggerer": (Blow.KILL.value, Blow.STALL.value),
}
SETTINGS = {
    "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "GCP_JOBS_LEDGER_CONN_ID": "",
    "GCP_JOBS_SWEEP_SECONDS": "4",
    "GCP_JOBS_LIST_SECONDS": "2",
    "GCP_JOBS_API_PATIENCE_SECONDS": "20",
    "GCP_JOBS_LOG_SETTLE_SECONDS": "0.2",
}


@dataclass(slots=True)
class Night:
    """What came of a level of chaos; `left_out`: points for which there was no time planned."""

    tally: Tally
    points: list[Point]
    missing: list[Point]
    strikes: int
    recovery: Mapping[str, float]
    seconds: float
    blows: dict[str, int] = field(default_factory=dict)
    left_out: int = 0

    def told(self) -> dict[str, Any]:
        """Its figures, for the file."""
        tally = self.tally
        names = (
            "attempts", "doubled_started", "excused", "doubled_completed", "orphans", "wrong_verdicts",
            "missed_cancels", "wrong_cancels", "upstream_races", "unfinished",
        )  # fmt: skip
        return {
            **{name: getattr(tally, name) for name in names},
            "oldest_orphan_s": round(tally.oldest_orphan_s, 1),
            "strikes": self.strikes,
            "blows": self.blows,
            "crash_points": len(self.points),
            "points_not_fired": len(self.missing),
            "points_left_out": self.left_out,
            "not_fired": [str(point) for point in self.missing],
            "time_to_recover_s": dict(self.recovery),
            "seconds": round(self.seconds, 1),
            "wrongs": tally.wrongs[:50],
        }

    @property
    def red(self) -> bool:
        """Whether anything is wrong with it."""
        return self.tally.red or bool(self.missing)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a night lasts: until so many strikes or seconds, whichever comes first.

    :param all_points: whether it goes on (for as long again) until each point was struck at
    :param without: the safeguard that is taken out, empty for none
    :param only: patterns of the points to strike at
    :param calls: what is known to be called, instead of a night without faults to find out: (role, method)
    :param wanted: which plans to have
    """

    seed: int
    strikes: int
    seconds: float
    all_points: bool = True
    without: str = ""
    only: tuple[str, ...] = ("*",)
    calls: tuple[tuple[str, str], ...] = ()
    wanted: Callable[[Plan], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class House:
    """Where nights are had: an emulator, and what the small Airflow's processes are forked of."""

    cloud: ChaosCloud
    zygote: Zygote
    stretch: float


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """Build one; it ends with all that it started."""
    folder.mkdir(parents=True, exist_ok=True)
    stretch = stretched()
    (folder / "airflow").mkdir(exist_ok=True)
    with process.start(log=folder / "emulator.log", batch_delay=0.05, env=environment.tools()) as ready:
        cloud = ChaosCloud(ready["rest"], ready["grpc"])
        cloud.prepare()
        env = environment.inherited() | ready["env"] | SETTINGS | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "CHAOS_SETTLE_S": str(SETTLE_S * stretch),
            "CHAOS_REACH_S": str(REACH_S * stretch),
            "GCP_JOBS_ENVIRONMENT": "local",
            "GCP_JOBS_PROJECT": environment.PROJECT,
            "GCP_JOBS_REGION": environment.REGION,
            "GCP_JOBS_STATUS_TOPIC": "job-states",
            "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("plugins", "include", ".")),
        }  # fmt: skip
        zygote = Zygote(folder, env)
        try:
            yield House(cloud, zygote, stretch)
        finally:
            zygote.stop()


def fast(here: House, terms: Terms, progress: Progress) -> Night:
    """Have one; those of one house have seeds of their own."""
    small = SmallAirflow(here.zygote, terms.seed, terms.without, here.stretch)
    return _Course(here, small, terms, progress).run()


class _Course:
    """The course of a night: one without faults to record, then the faults, then quiet until all is over."""

    def __init__(self, here: House, small: SmallAirflow, terms: Terms, progress: Progress) -> None:
        self._cloud, self._small, self._terms, self._progress = here.cloud, small, terms, progress
        self._stretch = here.stretch
        self._numbers = itertools.count()
        self._enough, self._drawing = threading.Event(), threading.Lock()
        self._blows: dict[str, int] = {}

    def run(self) -> Night:
        begun = time.monotonic()
        with Watch(self._cloud) as watch, ThreadPoolExecutor(SLOTS) as pool:
            try:
                found = self._record(pool)
                striker = Striker(
                    self._cloud, found, self._terms.seed, self._strike, late_s=1.6 * REACH_S * self._stretch
                )
                with Weather(self._cloud, self._terms.seed, self._away):
                    striker.start()
                    lives = [pool.submit(self._lives) for _ in range(SLOTS)]
                    self._until(lambda: self._done(striker, begun), striker)
                    self._enough.set()
                    striker.stop()
                self._cloud.heal()
                self._drain(lives)
            finally:  # else the pool waits for ever for tasks that go on
                self._enough.set()
                self._small.stop()
        struck = [(at, strike) for at, _, strike in striker.struck]
        recovery = summary(watch.times(struck))
        runs = [run for run in self._cloud.runs() if run.task.startswith(f"chaos/run-{self._terms.seed}-")]
        tally = judged(runs, map(_deed, self._small.tasks.values()), time.time())
        missing = striker.missing if self._terms.all_points else []
        seconds = time.monotonic() - begun
        return Night(tally, found, missing, len(struck), recovery, seconds, self._blows)

    def _record(self, pool: ThreadPoolExecutor) -> list[Point]:
        calls: Sequence[Mapping[str, str]] = [
            {"caller": role, "method": method} for role, method in self._terms.calls
        ]
        if not calls:
            self._progress.say("recording the calls of a night without faults")
            list(pool.map(self._small.live, [self._plan() for _ in range(RECORDED)]))
            calls = self._cloud.calls(10_000)
        known = points(calls, BLOWS)
        found = [point for point in known if any(fnmatchcase(str(point), each) for each in self._terms.only)]
        self._progress.say(f"{len(found)} points")
        return found

    def _lives(self) -> None:
        while not self._enough.is_set():
            self._small.live(self._plan())

    def _plan(self) -> Plan:
        drawn = (plan(number, self._terms.seed, self._stretch) for number in self._numbers)
        with self._drawing:
            return next(each for each in drawn if self._terms.wanted(each))

    def _done(self, striker: Striker, begun: float) -> bool:
        terms, spent = self._terms, time.monotonic() - begun
        if len(striker.struck) < terms.strikes and spent < terms.seconds:
            return False
        return not (terms.all_points and striker.missing and spent < 2 * terms.seconds)

    def _until(self, done: Callable[[], bool], striker: Striker) -> None:
        reconciled = said = time.monotonic()
        while not done():
            time.sleep(0.2)
            if time.monotonic() > said + 20:
                said = time.monotonic()
                ended = sum(task.ended is not None for task in list(self._small.tasks.values()))
                missing = len(striker.missing)
                self._progress.say(
                    f"{len(striker.struck)} strikes, {ended} tasks over, {missing} points to come"
                )
            if time.monotonic() > reconciled + RECONCILE_S:
                reconciled = time.monotonic()
                threading.Thread(target=self._small.reconcile, args=(GRACE_S,), daemon=True).start()

    def _drain(self, lives: list[Any]) -> None:
        """Without faults from here on: all tasks come to their end, and reconciliation finds what nobody waits for."""
        until = time.monotonic() + DRAIN_S
        while not all(life.done() for life in lives) and time.monotonic() < until:
            time.sleep(0.2)
        self._small.quit()
        for life in lives:
            life.result()
        while time.monotonic() < until and any(run.state == GOING for run in self._cloud.runs()):
            self._small.reconcile(0)
            time.sleep(0.5)

    def _strike(self, point: Point, strike: Strike) -> bool:
        victim = self._small.owner_of(strike.port)
        if victim is None or (isinstance(victim, Worker) and victim.blow):  # one blow is enough
            return False
        blow = Blow(point.blow)
        struck = [victim.task] if isinstance(victim, Worker) else []
        for task in self._small.waiting_in(victim) if isinstance(victim, Triggerer) else struck:
            if task:
                task.note(str(point))
        self._blows[f"{point.role} {blow}"] = self._blows.get(f"{point.role} {blow}", 0) + 1
        if blow is Blow.KILL:
            victim.signal(signal.SIGKILL)
        elif isinstance(victim, Worker):
            victim.blow = blow
        elif isinstance(victim, Triggerer):
            threading.Thread(target=self._small.stall, args=(victim,), daemon=True).start()
        return True

    def _away(self, seconds: float) -> None:
        """Airflow's API server stands still."""
        self._small.answering.clear()
        time.sleep(seconds)
        self._small.answering.set()


def _deed(task: Task) -> Deed:
    plan_: Plan = task.plan
    final = task.state if task.state in ("success", "failed") else ""
    cleared = bool(task.acted) and plan_.act is Act.CLEAR
    return Deed(
        plan_.task,
        plan_.wants,
        final or "",
        task.ended,
        task.acted,
        task.acted_try,
        cleared,
        task.two,
        f"{task.said} [{'; '.join(task.trail)}]",
        token=plan_.token,
    )
