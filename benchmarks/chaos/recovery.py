"""How long a job is alone after whoever looked after it was struck: by the log of calls, until others ask for it."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from statistics import quantiles

from benchmarks.chaos.cloud import ChaosCloud, Strike

EACH_S = 3.0
RECENT = 4000


class Watch:
    """Keeps who asked for which job, and when, since it was entered."""

    def __init__(self, cloud: ChaosCloud) -> None:
        self._cloud, self._over = cloud, threading.Event()
        self._seen: dict[str, set[tuple[float, int]]] = {}
        self.methods: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def times(self, struck: Sequence[tuple[float, Strike]]) -> list[float]:
        """Seconds after each strike at a call about one job, where anybody came for it again."""
        found = []
        for at, strike in struck:
            if _one_job(strike.method, strike.resource):
                later = [
                    when - at
                    for when, port in self._seen.get(strike.resource, ())
                    if when > at and port != strike.port
                ]
                if later:
                    found.append(min(later))
        return found

    def _run(self) -> None:
        while not self._over.wait(EACH_S):
            with suppress(OSError):
                self._look()

    def _look(self) -> None:
        for call in self._cloud.calls(RECENT):
            self.methods.add((call["caller"], call["method"]))
            if _one_job(call["method"], call["resource"]):
                when = datetime.fromisoformat(call["time"]).timestamp()
                port = int(call["peer"].rpartition(":")[2] or 0)
                self._seen.setdefault(call["resource"], set()).add((when, port))


def _one_job(method: str, resource: str) -> bool:
    return "/executions/" in resource or ("batch" in method and "/jobs/" in resource)


def summary(times: Sequence[float]) -> Mapping[str, float]:
    """Median, 95th percentile and longest, in seconds."""
    if len(times) < 2:
        return {"count": len(times)}
    cuts = quantiles(times, n=20)
    rounded = {"p50": cuts[9], "p95": cuts[18], "longest": max(times)}
    return {"count": len(times), **{name: round(value, 2) for name, value in rounded.items()}}
