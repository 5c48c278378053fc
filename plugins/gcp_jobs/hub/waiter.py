"""One wait on a hub: gcp_jobs.waiting's reads and sleeps, ended early by what the hub hears of the job."""

import asyncio
import contextvars
import logging
import math
from datetime import datetime

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.errors import GcpJobsError
from gcp_jobs.events import GOING_ON, key_of
from gcp_jobs.hub.counts import WOKEN, By, Count, Counts
from gcp_jobs.model import TERMINAL, JobRef, JobState, JobStatus
from gcp_jobs.pace import Pace
from gcp_jobs.waiting import Log

RECHECKS = (
    6  # the API may still say RUNNING when the event of the end has come: 1 s, 1.5 s ... some 20 s in all
)
CROWD = 500  # reads that queue
_UNTOLD = (
    "No message came of %s, a list showed its end. If it is so each time, the job's service account lacks "
    "roles/pubsub.publisher on %s"
)
_ORDER = [JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING, JobState.CANCELLATION_IN_PROGRESS]


class Waiter:
    """Registered with a hub while somebody waits for `ref`. Used by one task; the hub calls `hear` and `learn`."""

    __slots__ = (
        "_backend", "_by", "_context", "_future", "_hinted", "_known", "_learned", "_log", "_pace", "_pending",
        "_rechecks", "counts", "created", "heard", "key", "queues", "read", "ref", "settled", "topics",
    )  # fmt: skip

    def __init__(self, ref: JobRef, backend: JobBackend, pace: Pace, counts: Counts, log: Log) -> None:
        self.ref, self.key, self.counts = ref, key_of(ref), counts
        self.created: datetime | None = None
        self.topics: frozenset[str] = frozenset()  # those that the run is known to tell of its end
        self._backend, self._pace, self._log = backend, pace, log
        self._context = contextvars.copy_context()  # whose log lines are ours, whoever makes us write them
        self._future: asyncio.Future[None] | None = None
        self._pending = self._hinted = False
        self.heard = False  # whether any message of the run came
        self.settled = False  # whether its hub listens, as far as it can: what is read from then on counts
        self.read = self.queues = False
        self._learned: JobStatus | None = None
        self._known: JobState | None = None
        self._by = By.FIRST_READ
        self._rechecks = 0

    @property
    def backend(self) -> JobBackend:
        """What reads the job."""
        return self._backend

    # what the hub says

    def hear(self, *, ends: bool) -> None:
        """An event is worth a read; `ends`: it says that the job is over."""
        self._hinted, self._by = True, By.EVENT
        if ends:
            if not self._rechecks:
                self.say("Told that %s %s has ended", self.ref.noun, self.ref)
            self._rechecks = RECHECKS
        self._wake()

    def look(self) -> None:
        """The sweep did not find the job in the list: read it."""
        if self._known:
            self._by = By.SWEEP
        self._wake()

    def learn(self, status: JobStatus) -> None:
        """The sweep has read the job."""
        self.created, self.topics = status.created, self.topics.union(status.topics)
        if status.state in TERMINAL or status.state is JobState.DELETION_IN_PROGRESS or not self.read:
            self._learned = status
            if self.read and not self._hinted:
                self._by = By.SWEEP
            self._wake()
        else:
            self.tell(status.state)

    def tell(self, state: str) -> None:
        """The job goes on, in this state: worth a line in the task's log, once and never backwards."""
        if state in GOING_ON and state != self._known and not _before(JobState(state), self._known):
            self._known = JobState(state)
            self.say("Told that %s %s is %s", self.ref.noun, self.ref, state)

    def say(self, message: str, *args: object, level: int = logging.INFO) -> None:
        """Log a line as the wait's own task would."""
        self._context.run(self._log.log, level, message, *args)

    def _wake(self) -> None:
        self._pending = True
        if self._future:
            _ring(self._future)

    # what the wait does

    async def aget(self, ref: JobRef) -> JobStatus:
        """Read the job when its turn has come; what an event has ended is read at once, what a sweep read not again."""
        if self._learned is None:
            await self._turn()
        status, self._learned = self._learned, None
        if status is None or (self._hinted and not status.terminal):
            self._count_read()
            self._hinted = False
            try:
                status = await self._backend.aget(ref)
            except GcpJobsError:
                self.counts[Count.READ_ERRORS] += 1
                raise
        elif not self.read:
            self.counts[Count.FIRST_LISTED] += 1
        self._note(status)
        if status.terminal:
            self.counts[WOKEN[self._by]] += 1
            if self._by is By.SWEEP and self.topics and not self.heard:
                self.say(_UNTOLD, ref, ", ".join(sorted(self.topics)), level=logging.WARNING)
        return status

    async def acancel(self, ref: JobRef) -> None:
        """Ask for the job's end."""
        await self._backend.acancel(ref)

    async def sleep(self, seconds: float) -> None:
        """Sleep until the hub has something to say, at most `seconds`."""
        if self._rechecks:
            seconds = min(seconds, 1.5 ** (RECHECKS - self._rechecks))
            self._rechecks -= 1
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while not self._pending and (left := until - clock()) > 0:
            await self._rest(left)
        self._pending = False

    async def _rest(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        alarm = None if math.isinf(seconds) else loop.call_later(seconds, _ring, future)
        try:
            await future
        finally:
            self._future = None
            if alarm:
                alarm.cancel()

    async def _turn(self) -> None:
        """What an event has ended goes first, unless so many have that a list is on its way."""
        if self._hinted and not self.crowded:
            self._pace.take(borrow=True)
        elif delay := self._pace.turn():
            clock = asyncio.get_running_loop().time
            until, self.queues = clock() + delay, True
            while (
                not (self._learned or (self._hinted and not self.crowded)) and (left := until - clock()) > 0
            ):
                await self._rest(left)
            self.queues = False
            if self._learned:
                self._pace.give_back()
        self._pending = False

    @property
    def crowded(self) -> bool:
        """Whether pages of a list are fewer calls than what queues, and sooner done."""
        return self._pace.queue >= CROWD

    def _note(self, status: JobStatus) -> None:
        self.read, self._known, self.created = True, status.state, status.created
        self.topics = self.topics.union(status.topics)

    def _count_read(self) -> None:
        if self._hinted:
            self.counts[Count.CONFIRMING_READS] += 1
        else:
            self.counts[Count.OTHER_READS if self._known else Count.FIRST_READS] += 1


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _before(state: JobState, known: JobState | None) -> bool:
    return known is not None and (known not in _ORDER or _ORDER.index(state) < _ORDER.index(known))
