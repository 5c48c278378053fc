"""Strikes whoever has a call at a boundary: point after point in seeded order, several armed at a time."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.chaos.cloud import ChaosCloud, Strike
from benchmarks.chaos.plan import Blow
from benchmarks.chaos.points import Point, When

ARMED = 8
FEW = 5
PATIENCE_S = 6.0  # a point that nobody comes to makes room for another, and is tried again later
POLL_S = 0.4
MOMENT_S = 0.03
LATE_S = 5.0


@dataclass
class Striker:
    """`strike` gets the point and the call, and says whether somebody was struck.

    :param order: the points, to be gone through again and again
    :param ready: whether a point may be armed now
    :param late_s: at most how late the call of a try that was given up goes through
    :param armed: hears of a point that has been armed, to see to it that somebody comes there
    """

    cloud: ChaosCloud
    order: Sequence[Point]
    seed: int
    strike: Callable[[Point, Strike], bool]
    armed_at_once: int = ARMED
    ready: Callable[[Point], bool] = lambda _: True
    patience_s: float = PATIENCE_S
    late_s: float = LATE_S
    armed: Callable[[Point], None] = lambda _: None
    fired: Counter[Point] = field(default_factory=Counter)
    struck: list[tuple[float, Point, Strike]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._queue: deque[Point] = deque(self._dice.sample(self.order, len(self.order)))
        self._armed: dict[str, tuple[Point, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def missing(self) -> list[Point]:
        """Points at which nothing was struck so far."""
        return [point for point in self.order if not self.fired[point]]

    @property
    def told(self) -> str:
        """How far it has come, in a few words."""
        missing = self.missing
        which = f": {', '.join(map(str, missing))}" if len(missing) <= FEW else ""
        return f"{len(self.struck)} strikes, {len(missing)} points to come{which}"

    def start(self) -> None:
        """Begin."""
        self._last = max((each.number for each in self.cloud.strikes(0, 0)), default=0)
        self._thread.start()

    def stop(self) -> None:
        """End, and let go of all that is held."""
        self._over.set()
        self._thread.join()
        for fault in self._armed:
            self.cloud.remove(fault)

    def _run(self) -> None:
        while not self._over.is_set():
            self._arm()
            for strike in self.cloud.strikes(self._last, POLL_S):
                self._last = strike.number
                point, _ = self._armed.pop(strike.fault, (None, 0))
                if point:
                    self._hit(point, strike)
            for fault, (point, since) in list(self._armed.items()):
                if time.monotonic() > since + self.patience_s:
                    self._disarm(fault, point)

    def _arm(self) -> None:
        """Those that were never struck come first."""
        while self._queue and len(self._armed) < self.armed_at_once:
            fit = [each for each in self._queue if self.ready(each)]
            if not fit:
                return
            point = next((each for each in fit if not self.fired[each]), fit[0])
            self._queue.remove(point)
            fault = self.cloud.fault(
                "hold", methods=[point.method], caller=f"{point.role}@*", when=point.when.value,
                skip=self._dice.choice((0, 0, 1)),
            )  # fmt: skip
            self._armed[fault] = (point, time.monotonic())
            self.armed(point)

    def _hit(self, point: Point, strike: Strike) -> None:
        if (
            point.when is When.ANSWERED and self.fired[point]
        ):  # the first time at once: it may be a process' last call
            time.sleep(self._dice.uniform(0, MOMENT_S))
        hit = self.strike(point, strike)
        if hit:
            self.fired[point] += 1
            self.struck.append((time.time(), point, strike))
        self._queue.append(point)
        if (
            hit and point.blow == Blow.GHOST
        ):  # its call goes through when the next try has begun, or even started a job
            threading.Timer(self._dice.uniform(0, self.late_s), self._let_go, (strike.fault,)).start()
        else:
            self.cloud.remove(strike.fault)  # lets go of the call, where its caller lives on

    def _let_go(self, fault: str) -> None:
        with suppress(OSError):  # all faults may have been taken away meanwhile
            self.cloud.remove(fault)

    def _disarm(self, fault: str, point: Point) -> None:
        self.cloud.remove(fault)
        del self._armed[fault]
        self._queue.append(point)
