"""Looks once whether any of many waited-for runs has ended: by list or one by one, whichever costs fewer reads."""

import logging
from collections.abc import Iterable

from gcp_jobs.errors import GcpJobsError
from gcp_jobs.hub.counts import Count
from gcp_jobs.hub.waiter import Waiter
from gcp_jobs.pace import Pace

log = logging.getLogger(__name__)


async def sweep(waiters: Iterable[Waiter], pace: Pace) -> None:
    """Teach the waiters of one region, all of one backend, what their runs are doing.

    Lists newest first and stops past the oldest waiter's run, or as soon as reading the rest one by one is fewer calls
    than were made already. What no page showed is read by its own waiter.
    """
    left: dict[str, list[Waiter]] = {}
    for waiter in waiters:
        left.setdefault(waiter.ref.name, []).append(waiter)
    if not left:
        return
    first = next(iter(left.values()))[0]
    counts = first.counts
    counts[Count.SWEEPS] += 1
    oldest = min(w.created.timestamp() if w.created else 0.0 for several in left.values() for w in several)
    token, pages = "", 0
    while pages + 1 < len(left):
        pace.take(borrow=True)  # a page is instead of hundreds of reads, which may be queueing
        try:
            page = await first.backend.alist(first.ref.project, first.ref.region, token)
        except GcpJobsError as error:
            log.warning("No list of %s's jobs: %s", first.ref.region, error)
            break
        pages += 1
        counts[Count.SWEEP_PAGES] += 1
        for status in page.runs:
            for waiter in left.pop(status.ref.name, ()):
                waiter.learn(status)
        token = page.token
        last = page.runs[-1].created if page.runs else None
        if not token or (last and last.timestamp() < oldest):
            break
    for several in left.values():
        for waiter in several:
            waiter.look()
