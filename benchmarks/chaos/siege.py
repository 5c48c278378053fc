"""The slow level: the real Airflow's processes are killed and stopped at the boundaries of its tasks' calls."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.airflow_stack import API, PARSER, SCHEDULER, TRIGGERER
from benchmarks.chaos.cloud import GOING, Strike
from benchmarks.chaos.judge import judged
from benchmarks.chaos.load import stretched
from benchmarks.chaos.night import Night, Terms
from benchmarks.chaos.points import Point, points
from benchmarks.chaos.real import RealAirflow, deeds, real
from benchmarks.chaos.recovery import Watch, summary
from benchmarks.chaos.strikes import Striker
from benchmarks.chaos.weather import Weather

from laptop.progress import Progress

AT_ONCE = 6
RECORDED = 12
ARMED = 4
STRIKES_A_MINUTE = 6.0  # on a quiet machine: what was struck must come back first
RECONCILE_S = 30.0
RECORD_S, DRAIN_S = 240.0, 300.0
QUICK_S, LASTING_S, MANY = (2.0, 4.0), (20.0, 25.0), 5
PATIENCE_S = 30.0  # a task that is begun for a point comes to it within that time
LAG_S = 1.5
COMPONENTS = (SCHEDULER, PARSER, API, TRIGGERER)
BLOWS = {"worker": ("worker", *COMPONENTS), "triggerer": COMPONENTS}


def slow(terms: Terms, progress: Progress) -> Night:
    """Have one: as many of the points, in seeded order, as fit into its time."""
    with real(terms.seed, progress) as here:
        return _Course(here, terms, progress).run()


class _Course:
    """The course of a siege: one night without faults to record, then the faults, then quiet until all is over."""

    def __init__(self, here: RealAirflow, terms: Terms, progress: Progress) -> None:
        self._here, self._terms, self._progress = here, terms, progress
        self._numbers = itertools.count()
        self._enough = self._over = False
        self._blows: dict[str, int] = {}

    def run(self) -> Night:
        begun = time.monotonic()
        tending = threading.Thread(target=self._tend, daemon=True)
        with Watch(self._here.cloud) as watch:
            for _ in range(RECORDED):
                self._here.quiet(next(self._numbers))
            tending.start()
            self._until(lambda: not self._here.going(), "recording", RECORD_S)
            striker = self._striker()
            with Weather(self._here.cloud, self._terms.seed, lambda _: None, LAG_S):
                striker.start()
                said = reconciled = time.monotonic()
                started = time.monotonic()
                while not self._done(striker, started):
                    self._refill()
                    time.sleep(0.5)
                    if time.monotonic() > said + 20:
                        said = time.monotonic()
                        self._say(striker)
                    if time.monotonic() > reconciled + RECONCILE_S:
                        reconciled = time.monotonic()
                        self._here.reconcile()
                striker.stop()
            self._here.cloud.heal()
            self._drain()
            self._over = True
            tending.join()
        struck = [(at, strike) for at, _, strike in striker.struck]
        tally = judged(self._here.cloud.runs(), deeds(self._here), time.time())
        recovery = summary(watch.times(struck))
        seconds = time.monotonic() - begun
        return Night(
            tally, list(striker.order), striker.missing, len(struck), recovery, seconds, self._blows,
            left_out=self._known - len(striker.order),
        )  # fmt: skip

    def _striker(self) -> Striker:
        known = points(self._here.cloud.calls(10_000), BLOWS)
        self._known = len(known)
        rate = STRIKES_A_MINUTE / stretched()
        fit = max(4, int(min(self._terms.strikes, self._terms.seconds / 60 * rate)))
        chosen = random.Random(self._terms.seed).sample(known, min(fit, len(known)))
        self._progress.say(f"{len(known)} points, {len(chosen)} of them to be struck at")
        return Striker(
            self._here.cloud,
            chosen,
            self._terms.seed,
            self._strike,
            ARMED,
            ready=self._ready,
            patience_s=PATIENCE_S,
            armed=self._provoke,
        )

    def _provoke(self, point: Point) -> None:
        """Have tasks that come to the point; many where few do.

        Streams are opened by a triggerer that is new, and lists sweep waits that last. A triggerer is the first to
        cancel only past a deadline: the job of a marked task the API server has cancelled before, of a cleared one its
        next try.
        """
        if len(self._here.going()) >= 2 * AT_ONCE:
            return
        service, _, method = point.method.rpartition("/")
        if _opens_stream(point):
            self._here.renew_triggerer()
        deferred = point.role == "triggerer"
        lists, cancels = method.startswith("List"), "Cancel" in method
        for _ in range(MANY if deferred and lists else 1):
            self._here.begin(
                next(self._numbers),
                backend="batch" if ".batch." in service else "run" if ".run." in service else "",
                deferred=deferred,
                act=cancels,
                limited=deferred and cancels,
                bad=method == "ListTasks",
                seconds=LASTING_S if deferred and lists else QUICK_S,
            )

    def _done(self, striker: Striker, started: float) -> bool:
        """All its points were struck at, or their time is over, and half as much again."""
        return not striker.missing or time.monotonic() > started + 1.5 * self._terms.seconds

    def _ready(self, point: Point) -> bool:
        return point.blow == "worker" or self._here.ready(point.blow)

    def _strike(self, point: Point, strike: Strike) -> bool:
        comes_first = point.blow == TRIGGERER and _opens_stream(point)  # what a new triggerer does at once
        if not (comes_first or self._ready(point)):
            return False
        if not self._here.strike(point.role, point.blow, strike.port):
            return False
        self._blows[point.blow] = self._blows.get(point.blow, 0) + 1
        return True

    def _refill(self) -> None:
        if len(self._here.going()) < AT_ONCE:
            self._here.begin(next(self._numbers))

    def _tend(self) -> None:
        while not self._over:
            with suppress(OSError):
                self._here.look()
            self._here.tend()
            time.sleep(0.5)

    def _drain(self) -> None:
        self._until(lambda: not self._here.going(), "all tasks end", DRAIN_S)
        until = time.monotonic() + 90
        while time.monotonic() < until and any(run.state == GOING for run in self._here.cloud.runs()):
            self._here.reconcile()
            time.sleep(8)

    def _until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        with suppress(TimeoutError):
            self._here.stack.progress.wait(done, what, seconds)

    def _say(self, striker: Striker) -> None:
        cases: list[Any] = list(self._here.cases.values())
        ended = len(cases) - len(self._here.going())
        self._progress.say(f"{ended} of {len(cases)} tasks over, {striker.told}")


def _opens_stream(point: Point) -> bool:
    return "pubsub" in point.method or point.method.endswith("/TailLogEntries")
