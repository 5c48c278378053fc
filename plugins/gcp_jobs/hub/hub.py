"""Shared by all waits of a process that use the same event loop, connection and topic."""

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from gcp_jobs import events
from gcp_jobs.backends.base import JobBackend
from gcp_jobs.clients import Access
from gcp_jobs.hub.counts import Count, Counts, Report
from gcp_jobs.hub.stream import Stream
from gcp_jobs.hub.sweep import sweep
from gcp_jobs.hub.waiter import CROWD, Waiter
from gcp_jobs.hub.works import Work, Works
from gcp_jobs.model import JobRef
from gcp_jobs.pace import Pace
from gcp_jobs.settings import Settings, settings
from gcp_jobs.waiting import Log

log = logging.getLogger(__name__)

SETTLE_S = 5.0
LINGER_S = 60.0
REPORT_S = 60.0
CROWD_S = 1.0  # how often to look whether reads queue
BURST = 100  # reads at once; thousands of calls begun in one moment would time out in their own queue

Region = tuple[str, str, str]


class Hub:
    """Lives from the first waiter until a while after the last; ends with its event loop at the latest.

    :param topic: full name of the topic that jobs tell their states to; empty: no Pub/Sub, lists alone
    """

    def __init__(self, access: Access, topic: str, here: Settings) -> None:
        self.access, self.topic = access, topic
        self.counts = Counts()
        self.stream: Stream | None = None
        self._here = here
        self._waiters: dict[str, list[Waiter]] = {}
        self._paces: dict[Region, Pace] = {}
        self._works = Works()
        self._sweep_now = asyncio.Event()
        self._executions_told = False
        self._report = Report(topic or "lists", self.counts)

    @property
    def waiting_now(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiters.values()))

    @property
    def listening(self) -> bool:
        """Whether events come in; else lists are asked for, more often."""
        return self.stream is not None and self.stream.trouble is None

    def waiting(self, ref: JobRef, backend: JobBackend, log: Log) -> "Waiting":
        """Give a context to wait in."""
        return Waiting(self, Waiter(ref, backend, self._pace(ref), self.counts, log))

    async def join(self, waiter: Waiter) -> None:
        """Register a wait, then have the stream open: what ends later is told, what ended before must be read."""
        self._waiters.setdefault(waiter.key, []).append(waiter)
        try:
            self._start()
            await self._settled(waiter)
            waiter.settled = True
        except BaseException:
            self.leave(waiter)
            raise

    async def stop(self) -> None:
        """End what runs; the subscription goes with it."""
        await self._works.stop()

    # its life

    def _start(self) -> None:
        self._works.wanted()
        if self._works.running:
            return
        works: list[Work] = [self._sweeps, self._crowds, self._reports]
        if self.topic:
            given = _given(self._here, self.topic)
            self.stream = Stream(self.access, self.topic, given, self._hear, self._sweep_now.set)
            works.append(self.stream.run)
        self._works.begin(works)

    async def _settled(self, waiter: Waiter) -> None:
        if self.stream is None:
            return
        try:
            async with asyncio.timeout(SETTLE_S):
                await self.stream.settled.wait()
        except TimeoutError:
            self.stream.gap = True
            log.debug("No stream within %.0f s; a sweep will follow when it opens", SETTLE_S)
        if self.stream.trouble:
            waiter.say(
                "No events of %s, waiting by lists: %s",
                waiter.ref,
                self.stream.trouble,
                level=logging.WARNING,
            )

    def leave(self, waiter: Waiter) -> None:
        """Forget a wait; the last one's hub goes after a while."""
        mine = self._waiters[waiter.key]
        mine.remove(waiter)
        if not mine:
            del self._waiters[waiter.key]
        if not self._waiters:
            self._works.linger(LINGER_S, lambda: bool(self._waiters))

    # what it hears and sees

    def _hear(self, attributes: Mapping[str, str], data: bytes) -> None:
        self.counts[Count.MESSAGES] += 1
        event = events.parse(attributes, data)
        if event is None:
            self.counts[Count.GARBAGE] += 1
            return
        found = [waiter for key in event.keys for waiter in self._waiters.get(key, ())]
        if not found:
            self.counts[Count.UNCLAIMED] += 1
        self._executions_told |= event.kind is events.Kind.EXECUTION
        for waiter in found:
            waiter.heard = True
            if event.kind is events.Kind.JOB:
                waiter.topics |= {self.topic}
            if event.wakes:
                waiter.hear(ends=event.ends)
            elif event.kind is not events.Kind.TASK:
                waiter.tell(event.state)

    async def _sweeps(self) -> None:
        """Sweep all now and then, and often those of whose end nobody may tell."""
        clock = asyncio.get_running_loop().time
        last = clock()
        here = self._here
        while True:
            try:
                async with asyncio.timeout(min(here.list_seconds, here.sweep_seconds) * _jitter()):
                    await self._sweep_now.wait()
            except TimeoutError:
                log.debug("Time to look")
            everybody = self._sweep_now.is_set() or clock() >= last + here.sweep_seconds * _jitter()
            self._sweep_now.clear()
            await self._sweep((lambda _: True) if everybody else (lambda waiter: not self._will_hear(waiter)))
            last = clock() if everybody else last

    async def _crowds(self) -> None:
        """Thousands want to read at once, after a triggerer's start or the end of many jobs: a list serves hundreds."""
        crowded = False
        while True:
            await asyncio.sleep(CROWD_S)
            crowded = crowded or any(pace.queue >= CROWD for pace in self._paces.values())
            if crowded:
                await self._sweep(lambda waiter: waiter.queues or not waiter.read)
                crowded = any(waiter.queues for several in self._waiters.values() for waiter in several)

    async def _sweep(self, wanted: Callable[[Waiter], bool]) -> None:
        regions: dict[Region, list[Waiter]] = {}
        for waiter in (waiter for several in self._waiters.values() for waiter in several):
            if waiter.settled and wanted(waiter):
                regions.setdefault(_region(waiter.ref), []).append(waiter)
        for region, waiters in regions.items():
            await sweep(waiters, self._paces[region])

    def _will_hear(self, waiter: Waiter) -> bool:
        """Whether the run's end will be told: Batch jobs name their topic, Cloud Run's log sink has to prove itself."""
        told = self.topic in waiter.topics if waiter.ref.on_batch else self._executions_told
        return self.listening and told

    async def _reports(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self.report()

    def report(self) -> None:
        """Log and export the counts."""
        if self.stream:
            self.counts[Count.RECONNECTS] = self.stream.reconnects
        self._report.tell(self.waiting_now, listening=self.listening)

    def _pace(self, ref: JobRef) -> Pace:
        region = _region(ref)
        if region not in self._paces:
            self._paces[region] = Pace(self._here.job_reads_per_minute, burst=BURST)
        return self._paces[region]


class Waiting:
    """A wait's time on a hub. No generator: thousands of these exist at once, for hours."""

    __slots__ = ("_hub", "_waiter")

    def __init__(self, hub: Hub, waiter: Waiter) -> None:
        self._hub, self._waiter = hub, waiter

    async def __aenter__(self) -> Waiter:
        await self._hub.join(self._waiter)
        return self._waiter

    async def __aexit__(self, *_: object) -> None:
        self._hub.leave(self._waiter)


def _jitter() -> float:
    return 0.8 + 0.4 * random.random()


def _region(ref: JobRef) -> Region:
    return ref.backend, ref.project, ref.region


def _given(here: Settings, topic: str) -> str:
    """Full name of the subscription made beforehand, empty where there is none."""
    name = (here.status_subscription or "").replace("{host}", socket.gethostname())
    return name if not name or "/" in name else f"{topic.partition('/topics/')[0]}/subscriptions/{name}"


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Access, str], Hub]] = WeakKeyDictionary()


def hub_for(access: Access) -> Hub | None:
    """Give the running loop's hub for a connection; None where waits read their jobs' states by themselves."""
    here = settings()
    if here.wait_by == "reads" or (here.wait_by == "events" and not here.status_topic):
        return None
    topic = here.status_topic_name if here.wait_by == "events" else ""
    mine = _hubs.setdefault(asyncio.get_running_loop(), {})
    key = (Access(access.gcp_conn_id, access.impersonation_chain), topic)
    if key not in mine:
        mine[key] = Hub(key[0], topic, here)
    return mine[key]
