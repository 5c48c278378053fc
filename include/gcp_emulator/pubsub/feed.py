"""Lets callers wait for a backlog's messages: woken in turn when there are some, in time when some fall due."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from gcp_emulator.errors import ApiError
from gcp_emulator.pubsub.backlog import Backlog
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.message import Delivery

Wakeup = asyncio.Future[None]


class Feed:
    """The waiting side of a backlog, for one event loop. One of those who wait is woken for what is ready; whoever
    leaves something wakes the next."""

    def __init__(self, backlog: Backlog, clock: Callable[[], float]) -> None:
        self._backlog = backlog
        self._clock = clock
        self._turns: OrderedDict[Holder, Wakeup] = OrderedDict()
        self._waiting: set[Wakeup] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._end: ApiError | None = None
        backlog.on_ready = self._wake_next

    async def next(self, holder: Holder, limit: int, wait: float | None = None) -> list[Delivery]:
        """A batch as soon as there is one; none after `wait` seconds or when the holder has left.

        Raises what the feed was closed with, or the holder refused with.
        """
        until = None if wait is None else self._clock() + wait
        while holder.open and holder.refused is None:
            if self._end is not None:
                raise self._end
            batch = self._backlog.take(holder, limit, self._clock())
            self.changed()
            if batch:
                if self._backlog.ready:
                    self._wake_next()
                return batch
            left = None if until is None else until - self._clock()
            if left is not None and left <= 0:
                break
            await self._sleep(holder, left)
        if self._backlog.ready:
            self._wake_next()
        if holder.refused is not None:
            raise holder.refused
        return []

    def changed(self) -> None:
        """Something happened to the backlog: see to it that those who wait are woken when the next thing is due."""
        due = self._backlog.next_due() if self._waiting else None
        if due is not None and self._timer is not None and self._timer_due <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer_due = due
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self._tick)

    def close(self, reason: ApiError) -> None:
        """All who wait, and all who come later, get this."""
        self._end = reason
        for wakeup in self._waiting:
            _resolve(wakeup)
        self.changed()

    def _tick(self) -> None:
        self._timer = None
        self._backlog.tick(self._clock())
        self.changed()

    async def _sleep(self, holder: Holder, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        wakeup: Wakeup = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _resolve, wakeup)
        self._waiting.add(wakeup)
        if holder.has_room:
            self._turns[holder] = wakeup
        holder.wake = lambda: _resolve(wakeup)
        self.changed()
        try:
            await wakeup
        except asyncio.CancelledError:
            if wakeup.done() and not wakeup.cancelled():
                self._wake_next()  # it was this one's turn, and it will not take it
            raise
        finally:
            self._waiting.discard(wakeup)
            if self._turns.get(holder) is wakeup:
                del self._turns[holder]
            if timer is not None:
                timer.cancel()
            if not self._waiting:
                self.changed()

    def _wake_next(self) -> None:
        with suppress(KeyError):
            _resolve(self._turns.popitem(last=False)[1])


def _resolve(wakeup: Wakeup) -> None:
    if not wakeup.done():
        wakeup.set_result(None)
