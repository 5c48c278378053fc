"""The sweep's thrift: lists while a list is cheaper than single reads, newest first, no further than needed."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.backends.base import JobBackend, Page
from gcp_jobs.errors import PermissionRefused
from gcp_jobs.hub.counts import Count, Counts
from gcp_jobs.hub.sweep import sweep
from gcp_jobs.hub.waiter import Waiter
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.pace import Pace

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 10


class Region:
    """A region whose job n was created in minute n; those in `ended` have succeeded."""

    def __init__(self, jobs: int, ended: set[int], *, refused: bool = False) -> None:
        self.jobs, self.ended, self.refused = jobs, ended, refused
        self.reads = self.pages = 0

    def ref(self, number: int) -> JobRef:
        return JobRef("batch", "p", "r", f"j{number}", uid=f"u{number}")

    def status(self, number: int) -> JobStatus:
        state = JobState.SUCCEEDED if number in self.ended else JobState.RUNNING
        return JobStatus(self.ref(number), state, created=START + timedelta(minutes=number))

    async def aget(self, ref: JobRef) -> JobStatus:
        self.reads += 1
        return self.status(int(ref.job[1:]))

    async def alist(self, project: str, region: str, token: str = "") -> Page:
        if self.refused:
            raise PermissionRefused("not allowed to list")
        self.pages += 1
        newest = int(token) if token else self.jobs - 1
        numbers = range(newest, max(newest - SIZE, -1), -1)
        rest = newest - SIZE
        return Page(tuple(map(self.status, numbers)), str(rest) if rest >= 0 else "")


def sweep_once(region: Region, waited: set[int]) -> set[int]:
    """Waits for these jobs when all ran still, sweeps once now; gives those whose end was seen."""

    async def scenario() -> set[int]:
        counts, ended, region.ended = Counts(), region.ended, set()
        backend: Any = region
        _: JobBackend = backend
        waiters = {
            n: Waiter(region.ref(n), backend, Pace(1e9), counts, logging.getLogger("t")) for n in waited
        }
        for number, waiter in waiters.items():
            await waiter.aget(region.ref(number))
        region.reads, region.ended = 0, ended
        await sweep(waiters.values(), Pace(1e9))
        seen = set()
        for number, waiter in waiters.items():
            if waiter._pending:
                found = await waiter.aget(region.ref(number))
                seen |= {number} if found.terminal else set()
        assert counts[Count.WOKEN_BY_SWEEP] == len(seen)
        return seen

    return asyncio.run(scenario())


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1),
                                                      st.sets(st.integers(0, n - 1)))))  # fmt: skip
def test_every_end_is_seen_with_at_most_twice_the_fewest_calls(world: tuple[int, set[int], set[int]]) -> None:
    jobs, waited, ended = world
    region = Region(jobs, ended)
    assert sweep_once(region, waited) == waited & ended
    by_list = (jobs - min(waited) + SIZE - 1) // SIZE
    assert region.pages + region.reads <= 2 * min(by_list + 1, len(waited))


def test_one_old_job_behind_thousands_is_read_singly() -> None:
    region = Region(5_000, {3})
    assert sweep_once(region, {3}) == {3}
    assert (region.pages, region.reads) == (0, 1)


def test_many_young_jobs_cost_a_page_or_two_whatever_lies_behind() -> None:
    region = Region(100_000, {99_995})
    assert sweep_once(region, set(range(99_990, 100_000))) == {99_995}
    assert (region.pages, region.reads) == (1, 0)


def test_who_may_not_list_still_reads(caplog: pytest.LogCaptureFixture) -> None:
    region = Region(40, {5, 6}, refused=True)
    assert sweep_once(region, {5, 6, 7}) == {5, 6}
    assert region.reads == 3
