"""Keeps log entries in the order of their time, the newest ones only, and wakes those who tail."""

import asyncio
import bisect
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gcp_emulator.messages import now

MAX_ENTRIES = 50_000
EXECUTION_LABEL = "run.googleapis.com/execution_name"
JOB_UID_LABEL = "job_uid"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """An entry's place: its time in nanoseconds since 1970, then the order in which entries came."""

    time: int
    number: int

    def __str__(self) -> str:
        return f"{self.time}-{self.number}"

    @classmethod
    def read(cls, text: str) -> "Position":
        time, _, number = text.partition("-")
        return cls(int(time), int(number))


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """A log entry in its place."""

    position: Position
    entry: Any = None


def nanoseconds(timestamp: Any) -> int:
    return int(timestamp.seconds) * 10**9 + int(timestamp.nanos)


class LogStore:
    """All entries of all projects. Beyond `limit` the oldest tenth goes, and `dropped` counts.

    `route` hears of every entry as it is written, before anybody who listens.
    """

    def __init__(self, limit: int = MAX_ENTRIES) -> None:
        self.dropped = 0
        self.route: Callable[[Any], None] = lambda entry: None
        self._limit = limit
        self._numbers = itertools.count(1)
        self._entries: list[Kept] = []
        self._by_owner: dict[str, list[Kept]] = {}
        self._listeners: set[asyncio.Queue[Kept]] = set()

    def counts(self) -> dict[str, int]:
        """Entries kept and dropped so far, and how many follow."""
        return {"kept": len(self._entries), "dropped": self.dropped, "followers": len(self._listeners)}

    def add(self, entry: Any) -> None:
        """Keep an entry, which gets its receive time and, where missing, time and insert id."""
        entry.receive_timestamp.CopyFrom(now())
        if not entry.HasField("timestamp"):
            entry.timestamp.CopyFrom(entry.receive_timestamp)
        number = next(self._numbers)
        entry.insert_id = entry.insert_id or f"{number:012x}"
        kept = Kept(Position(nanoseconds(entry.timestamp), number), entry)
        _insert(self._entries, kept)
        for owner in owners_of(entry):
            _insert(self._by_owner.setdefault(owner, []), kept)
        if len(self._entries) > self._limit:
            self._drop_oldest()
        self.route(entry)
        for listener in self._listeners:
            listener.put_nowait(kept)

    def _drop_oldest(self) -> None:
        count = max(self._limit // 10, 1)
        gone = {kept.position for kept in self._entries[:count]}
        self._remove(gone)
        self.dropped += count

    def _remove(self, gone: set[Position]) -> None:
        self._entries = [kept for kept in self._entries if kept.position not in gone]
        for owner, entries in list(self._by_owner.items()):
            rest = [kept for kept in entries if kept.position not in gone]
            if rest:
                self._by_owner[owner] = rest
            else:
                del self._by_owner[owner]

    def between(self, start: int | None, end: int | None, owner: str | None = None) -> list[Kept]:
        """Entries with start <= time <= end (ns), oldest first; of one execution or Batch job only, if given."""
        entries = self._entries if owner is None else self._by_owner.get(owner, [])
        low = 0 if start is None else bisect.bisect_left(entries, Kept(Position(start, 0)))
        high = len(entries) if end is None else bisect.bisect_left(entries, Kept(Position(end + 1, 0)))
        return entries[low:high]

    def log_names(self, parents: Iterable[str]) -> list[str]:
        """The names of all logs of these parents that hold entries, sorted."""
        prefixes = tuple(f"{parent}/logs/" for parent in parents)
        return sorted({k.entry.log_name for k in self._entries if k.entry.log_name.startswith(prefixes)})

    def delete_log(self, name: str) -> int:
        """Forget a log; how many entries it had."""
        gone = {kept.position for kept in self._entries if kept.entry.log_name == name}
        self._remove(gone)
        return len(gone)

    def listen(self) -> "Listening":
        return Listening(self._listeners)


class Listening:
    """A queue of new entries, for as long as the context lasts."""

    def __init__(self, listeners: set[asyncio.Queue[Kept]]) -> None:
        self._listeners = listeners
        self._queue: asyncio.Queue[Kept] = asyncio.Queue()

    def __enter__(self) -> asyncio.Queue[Kept]:
        self._listeners.add(self._queue)
        return self._queue

    def __exit__(self, *_: object) -> None:
        self._listeners.discard(self._queue)


def owners_of(entry: Any) -> set[str]:
    """The Cloud Run execution and the uid of the Batch job that an entry is about, if any."""
    return {entry.labels.get(label) for label in (EXECUTION_LABEL, JOB_UID_LABEL)} - {None, ""}


def _insert(entries: list[Kept], kept: Kept) -> None:
    if entries and kept.position < entries[-1].position:
        bisect.insort(entries, kept)
    else:
        entries.append(kept)
