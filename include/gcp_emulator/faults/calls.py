"""Calls that fail, wait or are too many, lists that lag, and streams that are cut."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from gcp_emulator.calls import Call as Made
from gcp_emulator.errors import ApiError, Unavailable
from gcp_emulator.faults.book import Active, Book
from gcp_emulator.faults.kinds import Call, Cut, Lag, Quota
from gcp_emulator.faults.strikes import Strikes

MINUTE_S = 60.0
SERVICES = {
    "google.cloud.batch": "batch",
    "google.cloud.run": "run",
    "google.cloud.secretmanager": "secretmanager",
    "bigquery": "bigquery",
    "storage": "storage",
}


class Injected(ApiError):
    """A refusal with the code that a fault asks for."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(eq=False, slots=True)
class Stream:
    """A stream that is open; it can be cut while it waits for something to send, or else at its next message."""

    method: str
    caller: str
    task: "asyncio.Task[Any] | None" = field(default_factory=asyncio.current_task)
    waiting: bool = False
    cut: bool = False

    def end(self) -> None:
        if not self.cut:
            self.cut = True
            if self.waiting and self.task:
                self.task.cancel()


class CallFaults:
    """What the dispatcher asks before a call, and through which streams run."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._streams: set[Stream] = set()
        self._windows: dict[str, tuple[float, int]] = {}
        self.strikes = Strikes(book)
        book.listeners.append(self._cut)

    async def before(self, method: str, caller: str, call: Made | None = None) -> None:
        """Wait, or raise what the call is to fail with; `call`: as it is logged, where it can be held."""
        for active, quota in self._book.of(Quota):
            if quota.concerns(method, caller):
                self._count(active, quota, method)
        await self._fail("before", method, caller)
        if call:
            await self.strikes.at("before", call)

    async def after(self, call: Made, answer: Any) -> Any:
        """The method has done its work: wait, raise what the caller gets instead of the answer, or give that."""
        for active, lag in self._book.of(Lag):
            if lag.concerns(call.method, call.caller):
                active.seen += 1
                answer, hit = _lagging(answer, lag.behind_s)
                active.hits += hit
        await self._fail("after", call.method, call.caller)
        await self.strikes.at("after", call)
        await self.strikes.at("answered", call)
        return answer

    async def _fail(self, when: str, method: str, caller: str) -> None:
        for active, fault in self._book.of(Call):
            if fault.when == when and fault.concerns(method, caller):
                active.seen += 1
                if active.strikes(fault.share if _counts(fault, active.seen) else 0.0, fault.times):
                    await asyncio.sleep(fault.delay_s)
                    if fault.code:
                        raise Injected(StatusCode[fault.code], fault.message)

    def _count(self, active: Active, quota: Quota, method: str) -> None:
        now = time.monotonic()
        start, used = self._windows.get(active.id, (now, 0))
        if now - start >= MINUTE_S:
            start, used = now, 0
        active.seen += 1
        self._windows[active.id] = (start, used + 1)
        if used >= quota.per_minute:
            active.hits += 1
            package, _, name = method.rpartition(".")
            service = SERVICES.get(package.rpartition(".")[0], package.split(".")[1])
            raise Injected(
                StatusCode.RESOURCE_EXHAUSTED,
                f"Quota exceeded for quota metric '{name}' and limit '{name} per minute' of service "
                f"'{service}.googleapis.com': {quota.per_minute} a minute.",
            )

    async def watched(self, call: Made, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The answers of a stream until they end or the stream is cut; fails as a call does when it is opened."""
        await self.before(call.method, call.caller, call)
        stream = Stream(call.method, call.caller)
        self._streams.add(stream)
        for active, fault in self._book.of(Cut):
            self._plan(active, fault, stream)
        iterator = aiter(answers)
        try:
            while not stream.cut:
                stream.waiting = True
                try:
                    answer = await anext(iterator)
                except StopAsyncIteration:
                    return
                except asyncio.CancelledError:
                    if not stream.cut or stream.task is None:
                        raise
                    stream.task.uncancel()
                    break
                finally:
                    stream.waiting = False
                yield answer
            raise Unavailable("The stream was cut by /emulator/faults.")
        finally:
            self._streams.discard(stream)
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    def _cut(self, active: Active) -> None:
        if isinstance(active.fault, Cut) and active in self._book:
            for stream in list(self._streams):
                self._plan(active, active.fault, stream, now=True)

    def _plan(self, active: Active, fault: Cut, stream: Stream, *, now: bool = False) -> None:
        """Cut a stream at once if it was open when the fault came, or when it is old enough."""
        if not fault.concerns(stream.method, stream.caller):
            return
        if fault.after_s is not None:
            asyncio.get_running_loop().call_later(fault.after_s, self._end, active, stream)
        elif now:
            self._end(active, stream)

    def _end(self, active: Active, stream: Stream) -> None:
        if active in self._book and stream in self._streams:
            active.seen += 1
            active.hits += 1
            stream.end()


def _counts(fault: Call, number: int) -> bool:
    return not fault.nth or number in fault.nth


def _lagging(answer: Any, behind_s: float) -> tuple[Any, bool]:
    """A list's answer without what is younger, and whether that left anything out."""
    since = time.time_ns() - int(behind_s * 1e9)
    shown, hit = type(answer)(), False
    shown.CopyFrom(answer)
    for field_, items in answer.ListFields():
        if field_.is_repeated and field_.message_type and "create_time" in field_.message_type.fields_by_name:
            kept = [item for item in items if item.create_time.ToNanoseconds() <= since]
            hit = hit or len(kept) < len(items)
            shown.ClearField(field_.name)
            getattr(shown, field_.name).extend(kept)
    return shown, hit
