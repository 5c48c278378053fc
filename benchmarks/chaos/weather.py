"""What is wrong all night: messages lost, doubled, out of order and untrue, lists that lag, bursts of errors."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from urllib.error import URLError

from benchmarks.chaos.cloud import GOING, ChaosCloud

MESSAGES = {"drop": 0.05, "double": 0.2, "reorder": 0.75, "delay_s": 1.0}
LAG_S = 0.4
BURSTS = (
    ("UNAVAILABLE", "before"), ("UNAVAILABLE", "after"), ("RESOURCE_EXHAUSTED", "before"),
    ("DEADLINE_EXCEEDED", "after"), ("INTERNAL", "before"), ("INTERNAL", "after"),
)  # fmt: skip
BURST_S, CALM_S = 1.0, (2.0, 6.0)
LIE_S = 0.7


class Weather:
    """`away` is called with the seconds for which Airflow's API does not answer."""

    def __init__(
        self, cloud: ChaosCloud, seed: int, away: Callable[[float], None], lag_s: float = LAG_S
    ) -> None:
        self._cloud, self._dice, self._away = cloud, random.Random(seed), away
        self._lag_s = lag_s
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._bursts, self._lies, self._stalls)
        ]

    def __enter__(self) -> "Weather":
        self._cloud.fault("messages", seed=self._dice.randrange(2**31), **MESSAGES)
        self._cloud.fault("lag", behind_s=self._lag_s)
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def _bursts(self) -> None:
        """Half of all calls are refused for a while, or answered with an error though they went through."""
        bursts = cycle(BURSTS)
        while not self._over.wait(self._dice.uniform(*CALM_S)):
            code, when = next(bursts)
            methods = ["google.cloud.batch.*", "google.cloud.run.*", "google.logging.*", "*/StreamingPull"]
            fault = self._cloud.fault(
                "call", methods=methods, caller="*r@*", code=code, share=0.5, when=when,
                seed=self._dice.randrange(2**31),
            )  # fmt: skip
            self._over.wait(BURST_S)
            self._cloud.remove(fault)

    def _lies(self) -> None:
        """Anybody who may publish can say that a job has succeeded, or failed."""
        while not self._over.wait(LIE_S):
            with suppress(URLError, OSError):
                going = [run for run in self._cloud.newest_jobs() if run.state == GOING]
                for run in going[:3]:
                    self._cloud.lie(run, self._dice.choice(("SUCCEEDED", "FAILED", "CANCELLED")))

    def _stalls(self) -> None:
        while not self._over.wait(self._dice.uniform(8, 16)):
            self._away(self._dice.uniform(0.5, 2.5))
