"""Calls that stand still at a boundary: which they are, and how they go on."""

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import NotFound
from gcp_emulator.faults.book import Active, Book
from gcp_emulator.faults.kinds import Hold


@dataclass(eq=False, slots=True)
class Strike:
    """A call that a Hold has struck. `held` while it stands still."""

    number: int
    fault: str
    when: str
    call: Call
    held: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def as_dict(self) -> dict[str, Any]:
        return {
            "number": self.number, "fault": self.fault, "when": self.when, "held": self.held, **self.call.as_dict(),
        }  # fmt: skip


class Strikes:
    """All strikes in their order; whoever waits for the next hears of it at once."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._all: list[Strike] = []
        self._news = asyncio.Event()
        book.listeners.append(self._gone)

    async def at(self, when: str, call: Call) -> None:
        """Hold a call at this boundary if a fault says so; a caller that goes away cancels what stands still."""
        for active, fault in self._book.of(Hold):
            if fault.when == when and self._wanted(active, fault, call):
                strike = Strike(len(self._all) + 1, active.id, when, call, held=when != "answered")
                self._all.append(strike)
                self._news.set()
                self._news = asyncio.Event()
                if strike.held:
                    await self._stand(strike, fault.most_s)

    async def after(self, number: int, wait_s: float) -> list[dict[str, Any]]:
        """Those after the `number`-th; waits so long for one where there is none yet."""
        if len(self._all) <= number:
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                return []
        return [strike.as_dict() for strike in self._all[number:]]

    def release(self, number: int) -> dict[str, Any]:
        """Let one call go on; NotFound where no such strike was."""
        if not 0 < number <= len(self._all):
            raise NotFound(f"There is no strike {number}; there were {len(self._all)}.")
        strike = self._all[number - 1]
        strike.go.set()
        return strike.as_dict()

    @staticmethod
    async def _stand(strike: Strike, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await strike.go.wait()
        except TimeoutError:
            return
        finally:
            strike.held = False

    @staticmethod
    def _wanted(active: Active, fault: Hold, call: Call) -> bool:
        if not fault.concerns(call.method, call.caller) or not fnmatchcase(call.resource, fault.resource):
            return False
        active.seen += 1
        return active.seen > fault.skip and active.strikes(fault.share, fault.times)

    def _gone(self, active: Active) -> None:
        """A fault that is taken away lets go of what it holds."""
        if active not in self._book:
            for strike in self._all:
                if strike.fault == active.id:
                    strike.go.set()
