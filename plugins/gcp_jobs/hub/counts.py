"""What a hub counts, and how it says so: a line in the log and Airflow's own metrics (StatsD or OpenTelemetry)."""

import logging
from collections import Counter
from enum import StrEnum

log = logging.getLogger(__name__)
METRIC = "gcp_jobs.hub"


class By(StrEnum):
    """What made a wait see the end of its job."""

    EVENT = "event"
    FIRST_READ = "first_read"
    SWEEP = "sweep"


class Count(StrEnum):
    """What is counted."""

    MESSAGES = "messages"
    GARBAGE = "garbage"
    UNCLAIMED = "unclaimed"
    FIRST_READS = "first_reads"
    FIRST_LISTED = "first_listed"
    CONFIRMING_READS = "confirming_reads"
    OTHER_READS = "other_reads"
    READ_ERRORS = "read_errors"
    SWEEPS = "sweeps"
    SWEEP_PAGES = "sweep_pages"
    RECONNECTS = "reconnects"
    WOKEN_BY_EVENT = "woken_by_event"
    WOKEN_BY_FIRST_READ = "woken_by_first_read"
    WOKEN_BY_SWEEP = "woken_by_sweep"


Counts = Counter[Count]
WOKEN = {
    By.EVENT: Count.WOKEN_BY_EVENT,
    By.FIRST_READ: Count.WOKEN_BY_FIRST_READ,
    By.SWEEP: Count.WOKEN_BY_SWEEP,
}


class Report:
    """Tells of a hub's counts, each time what has come since the last."""

    def __init__(self, what: str, counts: Counts) -> None:
        self._what, self._counts, self._told = what, counts, Counts()

    def tell(self, waiters: int, *, listening: bool) -> None:
        """Log a line where anything happened, and export the metrics `gcp_jobs.hub.*`."""
        from airflow.sdk.observability import stats

        stats.gauge(f"{METRIC}.waiters", waiters)
        stats.gauge(f"{METRIC}.listening", int(listening))
        news = self._counts - self._told
        self._told = self._counts.copy()
        for name, count in news.items():
            stats.incr(f"{METRIC}.{name}", count)
        if news:
            log.info(
                "Hub of %s: waiters=%d listening=%s %s",
                self._what, waiters, listening, " ".join(f"{name}={self._counts[name]}" for name in Count),
            )  # fmt: skip
