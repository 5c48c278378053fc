"""Live tails: their number, their length and their rate are limited, and what is left out is counted.

https://cloud.google.com/logging/quotas and google.logging.v2.TailLogEntriesResponse.SuppressionInfo
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from gcp_emulator.errors import ApiError
from gcp_emulator.faults.book import Book
from gcp_emulator.faults.kinds import Suppress
from gcp_emulator.logs.query import Query
from gcp_emulator.logs.store import Kept, LogStore

SESSIONS = 10
SESSION_S = 3_600.0
A_MINUTE = 60_000
RATE_LIMIT = 1  # SuppressionInfo.Reason


class TooManySessions(ApiError):
    """A project has as many open tails as it may."""

    code = StatusCode.RESOURCE_EXHAUSTED


@dataclass(slots=True)
class Answer:
    """Entries in the order of their time, and how many more there were."""

    entries: list[Any]
    suppressed: int = 0


@dataclass(slots=True)
class Rate:
    """Entries that a session may still have, filled up evenly in the course of a minute."""

    left: float = A_MINUTE
    at: float = field(default_factory=time.monotonic)

    def take(self, wanted: int) -> int:
        now = time.monotonic()
        self.left = min(A_MINUTE, self.left + (now - self.at) * A_MINUTE / 60)
        self.at = now
        taken = min(wanted, int(self.left))
        self.left -= taken
        return taken


class Tails:
    """All open sessions."""

    def __init__(self, store: LogStore, faults: Book) -> None:
        self._store, self._faults = store, faults
        self._open: Counter[str] = Counter()

    async def follow(self, query: Query, window: float) -> AsyncIterator[Answer]:
        """New entries that fulfil a query, in batches as long as the window; ends after an hour."""
        rate, end = Rate(), asyncio.get_running_loop().time() + SESSION_S
        with ExitStack() as held:
            for parent in query.parents:
                held.enter_context(self._session(parent))
            queue = held.enter_context(self._store.listen())
            while (left := end - asyncio.get_running_loop().time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        batch = [await queue.get()]
                except TimeoutError:
                    return
                await asyncio.sleep(window)
                while not queue.empty():
                    batch.append(queue.get_nowait())
                answer = self._answer(
                    [kept for kept in sorted(batch) if query.fulfilled_by(kept.entry)], rate
                )
                if answer.entries or answer.suppressed:
                    yield answer

    def _answer(self, found: Sequence[Kept], rate: Rate) -> Answer:
        wanted = [kept.entry for kept in found if not self._suppressed()]
        entries = wanted[: rate.take(len(wanted))]
        return Answer(entries, len(found) - len(entries))

    def _suppressed(self) -> bool:
        for active, fault in self._faults.of(Suppress):
            active.seen += 1
            if active.strikes(fault.share, fault.times):
                return True
        return False

    @contextmanager
    def _session(self, parent: str) -> Iterator[None]:
        if self._open[parent] >= SESSIONS:
            raise TooManySessions(
                f"Quota exceeded for quota metric 'Tail sessions': {parent} has {SESSIONS} open sessions."
            )
        self._open[parent] += 1
        try:
            yield
        finally:
            self._open[parent] -= 1
