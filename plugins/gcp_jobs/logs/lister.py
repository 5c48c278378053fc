"""Reads by entries.list what followed runs may have missed: many runs in one request, at the process' one pace."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from gcp_jobs.clients import Access, async_client
from gcp_jobs.errors import GcpJobsError, TransientApiError
from gcp_jobs.logs import filters
from gcp_jobs.logs.entry import owner_of, stamp_of
from gcp_jobs.logs.following import Following
from gcp_jobs.logs.reads import aread, explained, request
from gcp_jobs.pace import Pace
from gcp_jobs.waiting import Backoff

log = logging.getLogger(__name__)

GATHER_S = 0.2  # who comes within this goes along
RETRY_S = 15.0
REFUSED_S = 60.0
PAGES_A_LOOK = 5
TROUBLE_AFTER = 3


class Lister:
    """Serves those who want a look: the urgent ones first, then in the order in which they came."""

    def __init__(self, access: Access, project: str, pace: Pace) -> None:
        self.refusal: GcpJobsError | None = None
        self._access, self._project, self._pace = access, project, pace
        self._due: dict[Following, None] = {}
        self._wake = asyncio.Event()
        self._failures = 0

    def want(self, following: Following) -> None:
        """Have a list read for this one, soon."""
        if not following.lines.closed:
            self._due[following] = None
            self._wake.set()

    def leave(self, following: Following) -> None:
        """Nobody follows it any more."""
        self._due.pop(following, None)

    async def run(self) -> None:
        """Read until cancelled."""
        trouble = Backoff(GATHER_S, RETRY_S)
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(GATHER_S, self._pace.turn()))
            batch = self._batch()
            try:
                with explained(self._project):
                    await self._look(batch)
                self.refusal, self._failures = None, 0
                trouble.reset()
            except GcpJobsError as error:
                self._failed(error, batch)
                passing = isinstance(error, TransientApiError)
                await asyncio.sleep(trouble.take() if passing else REFUSED_S)

    def _batch(self) -> list[Following]:
        """As many runs as one filter takes, all of one backend; those whose lines are cut anyway need no look."""
        for following in [each for each in self._due if each.lines.flooded]:
            del self._due[following]
            following.fill()
        due = sorted(self._due, key=lambda each: not each.urgent)
        alike = [each for each in due if each.ref.on_batch == due[0].ref.on_batch]
        batch = alike[: len(filters.fitting(filters.name_of(each.ref) for each in alike))]
        for following in batch:
            del self._due[following]
        if not self._due:
            self._wake.clear()
        return batch

    async def _look(self, batch: list[Following]) -> None:
        if not batch:
            return
        since = {each: each.ask() for each in batch}
        by_name: dict[str, int] = {}
        for each, start in since.items():
            name = filters.name_of(each.ref)
            by_name[name] = min(start, by_name.get(name, start))
        wanted = filters.of_runs(self._project, batch[0].ref.on_batch, by_name, time.time_ns())
        api, token, pages, last = await async_client("LoggingServiceV2", self._access), "", 0, 0
        while True:
            page = await aread(api, request(self._project, wanted, token))
            last = self._hand_over(page.entries, since) or last
            token, pages = page.next_page_token, pages + 1
            if not token or pages == PAGES_A_LOOK:
                break
            await asyncio.sleep(self._pace.turn())
        for each in batch:
            if not token:
                each.fill()
            else:
                each.fill_until(last)
                self.want(each)

    def _hand_over(self, entries: Sequence[Any], since: dict[Following, int]) -> int:
        """Give each its entries from its own time on; gives the time of the last."""
        owners: dict[str, list[Following]] = {}
        for each in since:
            owners.setdefault(each.key, []).append(each)
        got: dict[Following, list[Any]] = {}
        for entry in entries:
            for each in owners.get(owner_of(entry), ()):
                if stamp_of(entry) >= since[each]:
                    got.setdefault(each, []).append(entry)
        last = stamp_of(entries[-1]) if entries else 0
        for each, its in got.items():
            each.lines.add(its)
            each.lines.release(last, keep=since[each])
        return last

    def _failed(self, error: GcpJobsError, batch: list[Following]) -> None:
        """Their turn comes again; where it will not soon, they are told."""
        self._failures += 1
        passing = isinstance(error, TransientApiError)
        self.refusal = None if passing else error
        log.debug("No list of entries: %s", error)
        for each in batch:
            self.want(each)
            if not passing or self._failures >= TROUBLE_AFTER:
                each.give_up(error)
