"""One run followed on a source that is shared: what is missing of its log, and when its lines may be shown."""

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from gcp_jobs.errors import GcpJobsError
from gcp_jobs.logs.cursor import Cursor
from gcp_jobs.logs.entry import key_of
from gcp_jobs.logs.lines import Emit, Lines
from gcp_jobs.model import JobRef

if TYPE_CHECKING:
    from gcp_jobs.logs.source import Source

LAST_S = 8.0
HOLD_S = 1.5  # after a gap lines wait so long for those before them, which a list has to bring


class Following:
    """Used by the source's tasks; its lines are emitted as by the task that made it.

    :ivar gap: from this time on (epoch nanoseconds) entries may be missing and a list must be read; None: none are
    :ivar urgent: the run has ended and somebody waits for the rest
    :ivar heard: when the source delivered lines last, by the loop's clock
    :ivar whole: set while nothing is known to be missing
    """

    def __init__(
        self, source: "Source", ref: JobRef, emit: Emit, cursor: Cursor, *, show_task: bool, most: int
    ) -> None:
        self.ref, self.key = ref, key_of(ref)
        owner = contextvars.copy_context()

        def emit_as_owner(level: int, line: str) -> None:
            owner.run(emit, level, line)

        self.lines = Lines(ref, emit_as_owner, cursor, show_task=show_task, most=most)
        self.gap: int | None = cursor.since
        self.urgent = False
        self.whole = asyncio.Event()
        self.heard = 0.0
        self._later: int | None = None
        self._hold = asyncio.get_running_loop().time() + HOLD_S
        self._source = source
        self._timer: asyncio.TimerHandle | None = None

    @property
    def cursor(self) -> Cursor:
        """How far the log was followed."""
        return self.lines.cursor(self.gap)

    def hear(self, entries: list[Any]) -> None:
        """Take what the source has delivered."""
        if not self.lines.add(entries):
            return
        loop = asyncio.get_running_loop()
        self.heard = loop.time()
        delay = self._source.disorder if self.gap is None else self._hold - self.heard
        if delay <= 0:
            self._show()
        elif self._timer is None:
            self._timer = loop.call_later(delay, self._show)

    def miss(self) -> None:
        """Something may have been missed: have a list read."""
        if self.gap is None:
            self.gap = self.lines.cursor().since
            self._hold = asyncio.get_running_loop().time() + HOLD_S
            self.whole.clear()
        elif self._later is None:
            self._later = self.lines.cursor().since
        self._source.lister.want(self)

    def ask(self) -> int:
        """A list is being asked for: gives from when on; what is missed from now on is another gap."""
        self._later = None
        return self.gap or 0

    def fill(self) -> None:
        """The list has brought all that there was when it was asked for."""
        self.gap, self._later = self._later, None
        if self.gap is None:
            self.whole.set()
        self._show()

    def fill_until(self, stamp: int) -> None:
        """The list has brought all up to a time."""
        self.gap = min(max(self.gap or 0, stamp), stamp if self._later is None else self._later)
        self.lines.release(stamp, keep=self.gap)

    def give_up(self, error: GcpJobsError) -> None:
        """Lists are refused: what is there is shown."""
        self.lines.warn(f"The job runs on, its log cannot be read now: {error}")
        self._show()

    async def finish(self, age_s: float = 0.0) -> None:
        """Bring the rest of a run that has ended: late lines have time to arrive, what may be missing is listed.

        Takes what is left of the time to settle where the stream is known to be whole, and `LAST_S` more at the most
        where it is not.

        :param age_s: seconds since the run's end, by the clock that we have; lines have been arriving since then
        """
        source, clock = self._source, asyncio.get_running_loop().time
        until = clock() + source.settle + LAST_S
        await asyncio.sleep(min(source.settle, max(0.0, source.settle - age_s)))
        while clock() < min(until, self.heard + source.settle / 2):
            await asyncio.sleep(source.settle / 4)
        self.urgent = True
        if not source.proven:
            self.miss()
        if self.gap is not None and not source.lister.refusal:
            try:
                async with asyncio.timeout(until - clock()):
                    await self.whole.wait()
            except TimeoutError:
                self.lines.warn("The end of the log may be missing here: it could not be read in time.")
        self._show()
        self.lines.close()

    def _show(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self.lines.release(keep=self.gap)
