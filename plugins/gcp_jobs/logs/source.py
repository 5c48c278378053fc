"""The one source of jobs' log lines that a process has for a project: a live tail, a log sink's topic, or lists."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from gcp_jobs.clients import Access
from gcp_jobs.hub.stream import Stream
from gcp_jobs.hub.works import Work, Works
from gcp_jobs.logs.cursor import Cursor
from gcp_jobs.logs.entry import from_json, owner_of
from gcp_jobs.logs.following import Following
from gcp_jobs.logs.lines import Emit
from gcp_jobs.logs.lister import Lister
from gcp_jobs.logs.reads import shared_pace
from gcp_jobs.logs.tailing import Tail
from gcp_jobs.model import JobRef
from gcp_jobs.settings import Settings, settings

log = logging.getLogger(__name__)

LINGER_S = 60.0
LOOK_S = 2.0
# Google does not say from when on a tail is complete: what came meanwhile is looked for once more
SURE_S = 5.0
PROVEN_S = 60.0
MOST_WINDOW_S = 1.0


class Source:
    """Lives from the first follower until a while after the last; ends with its event loop at the latest.

    Entries are found their follower by the run's name in O(1). What a stream may have missed (before it was open, while
    it was cut, what Google left out) is read by lists, many runs in one.

    :ivar live: whether entries come by themselves, as far as is known
    :ivar settle: seconds that the last lines of a run have to arrive
    :ivar disorder: seconds within which entries come in any order
    """

    def __init__(self, access: Access, project: str, here: Settings) -> None:
        self.project, self.live = project, False
        self._access, self._here = access, here
        self.settle = here.log_settle_seconds
        self._window = min(MOST_WINDOW_S, self.settle / 2)
        self.disorder = self._window if here.logs_by == "sink" else 0.0
        self._followings: dict[str, list[Following]] = {}
        self.lister = Lister(access, project, shared_pace())
        self._works = Works()
        self._sure: asyncio.TimerHandle | None = None
        self._heard = -math.inf

    @property
    def proven(self) -> bool:
        """Whether an entry has come by itself of late: a connection may die without a word."""
        return self.live and asyncio.get_running_loop().time() - self._heard < PROVEN_S

    @asynccontextmanager
    async def following(
        self, ref: JobRef, emit: Emit, cursor: Cursor, *, show_task: bool = False
    ) -> AsyncIterator[Following]:
        """Follow a run from a cursor on: its lines are emitted as they come, in the caller's context."""
        following = Following(self, ref, emit, cursor, show_task=show_task, most=self._here.log_lines_per_job)
        self._followings.setdefault(following.key, []).append(following)
        try:
            self._start()
            self.lister.want(following)
            yield following
        finally:
            self._leave(following)

    async def stop(self) -> None:
        """End what runs."""
        await self._works.stop()

    # its life

    def _start(self) -> None:
        self._works.wanted()
        if self._works.running:
            return
        self.live = False
        works: list[Work] = [self.lister.run, self._looks]
        if self._here.logs_by == "tail":
            works.append(
                Tail(
                    self._access,
                    self.project,
                    self._window,
                    on_entries=self._hear,
                    on_open=self._opened,
                    on_loss=self._miss_all,
                    on_end=self._ended,
                ).run
            )
        elif self._here.logs_by == "sink":
            works.append(self._sink().run)
        self._works.begin(works)

    def _sink(self) -> Stream:
        def changed() -> None:
            if stream.trouble is None:
                self._opened()
            else:
                self._ended()

        def hear(attributes: Mapping[str, str], data: bytes) -> None:
            entry = from_json(data)
            if entry is not None:
                self._hear([entry])

        stream = Stream(
            self._access,
            self._here.log_topic_name,
            "",
            hear,
            changed,
            what="jobs' log lines",
            setting="GCP_JOBS_LOG",
        )
        stream.gap = True
        return stream

    def _leave(self, following: Following) -> None:
        following.lines.closed = True
        self.lister.leave(following)
        mine = self._followings[following.key]
        mine.remove(following)
        if not mine:
            del self._followings[following.key]
        if not self._followings:
            self._works.linger(LINGER_S, lambda: bool(self._followings))

    # what it hears

    def _hear(self, entries: Sequence[Any]) -> None:
        if entries:
            self._heard = asyncio.get_running_loop().time()
        mine: dict[str, list[Any]] = {}
        for entry in entries:
            key = owner_of(entry)
            if key in self._followings:
                mine.setdefault(key, []).append(entry)
        for key, its in mine.items():
            for following in self._followings[key]:
                following.hear(its)

    def _opened(self) -> None:
        self.live = True
        self._miss_all()
        if self._sure:
            self._sure.cancel()
        self._sure = asyncio.get_running_loop().call_later(SURE_S, self._miss_all)

    def _ended(self) -> None:
        self.live = False

    def _miss_all(self) -> None:
        for several in self._followings.values():
            for following in several:
                following.miss()

    async def _looks(self) -> None:
        """Look by lists while there is no stream, and now and then where there is."""
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.live or clock() >= last + self._here.sweep_seconds:
                self._miss_all()
                last = clock()


_sources: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Access, str], Source]] = WeakKeyDictionary()


def source_for(access: Access, project: str) -> Source:
    """Give the running loop's source for a connection and a project."""
    mine = _sources.setdefault(asyncio.get_running_loop(), {})
    key = (Access(access.gcp_conn_id, access.impersonation_chain), project)
    if key not in mine:
        mine[key] = Source(key[0], project, settings())
    return mine[key]
