"""One row of `make bench-waiting`: what was seen of one side with so many waiting jobs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FAILED = "has failed its execution"  # what the stock trigger says of the jobs that end here


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured.

    :param pubsub: embedded or google
    :param quota: whether Google's quota of reads holds
    :param portal: Airflow's own default: each trigger may call the SDK's sync methods, at the price of a greenlet each;
        AIRFLOW_DISABLE_GREENBACK_PORTAL=true does without
    """

    side: str
    waiting: int
    pubsub: str = "embedded"
    quota: bool = True
    portal: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process of a side had used by one moment: reads of jobs, CPU in s, at a time in s."""

    reads: int
    cpu_s: float
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cell gave.

    :param before: when all waits had begun
    :param after: at the end of the time in which no job ended
    :param ended: when each job of the trickle ended (epoch seconds by its own event), by name
    :param burst: the same of the jobs that ended all at once afterwards
    :param fired: when each trigger fired and what it said, by the job's name
    """

    before: Sample
    after: Sample
    rss_kb: float
    sockets: int
    ready_s: float
    ended: Mapping[str, float]
    burst: Mapping[str, float]
    fired: Mapping[str, tuple[float, Mapping[str, Any]]]
    woken_by: Mapping[str, int]


def row(cell: Cell, seen: Seen, **more: Any) -> dict[str, Any]:
    """Sum a cell up; a job whose trigger did not fire, or not rightly, is a failure."""
    good = {name: at for name, (at, said) in seen.fired.items() if _right(cell.side, said)}
    late, burst = delays(seen.ended, good), delays(seen.burst, good)
    job_minutes = cell.waiting * (seen.after.at - seen.before.at) / 60
    return {
        "side": cell.side,
        "waiting": cell.waiting,
        "p50_ms": percentile(late, 0.5),
        "p95_ms": percentile(late, 0.95),
        "max_ms": percentile(late, 1.0),
        "reads_per_job_minute": round((seen.after.reads - seen.before.reads) / job_minutes, 4),
        "cpu_ms_per_job_minute": round(1000 * (seen.after.cpu_s - seen.before.cpu_s) / job_minutes, 3),
        "rss_kb_per_waiter": round(seen.rss_kb / cell.waiting, 1),
        "sockets": seen.sockets,
        "failures": cell.waiting - len(late) - len(burst),
        "woken_by": dict(seen.woken_by),
        "pubsub": cell.pubsub,
        "quota": cell.quota,
        "portal": cell.portal,
        "ready_s": round(seen.ready_s, 1),
        "burst": len(burst),
        "burst_p50_ms": percentile(burst, 0.5),
        "burst_max_ms": percentile(burst, 1.0),
        **more,
    }


def delays(ended: Mapping[str, float], fired: Mapping[str, float]) -> list[float]:
    """Give ms from each end to its trigger's event, shortest first; of those that have both."""
    return sorted(1000 * (fired[name] - at) for name, at in ended.items() if name in fired)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Give the value below which a share of the values lies, None where there are none."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None


def _right(side: str, said: Mapping[str, Any]) -> bool:
    if side == "ours":
        return said.get("outcome") == "ended"
    return FAILED in str(said.get("message"))
