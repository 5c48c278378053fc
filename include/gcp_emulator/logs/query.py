"""Finds log entries: the filter, and what of it narrows the search beforehand."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gcp_emulator.filters import check, matches, parse
from gcp_emulator.filters.grammar import And, Compare, Node, Or
from gcp_emulator.filters.match import nanoseconds
from gcp_emulator.logs.store import EXECUTION_LABEL, JOB_UID_LABEL, Kept, LogStore, Position
from gcp_emulator.messages import LogEntry


@dataclass(frozen=True, slots=True)
class Query:
    """A filter over the logs of some projects. InvalidArgument where the filter is wrong."""

    parents: tuple[str, ...]
    wanted: Node

    @classmethod
    def read(cls, parents: list[str], text: str) -> "Query":
        wanted = parse(text)
        check(wanted, LogEntry)
        return cls(tuple(parents), wanted)

    def fulfilled_by(self, entry: Any) -> bool:
        return self._belongs(entry) and matches(self.wanted, entry)

    def _belongs(self, entry: Any) -> bool:
        return any(entry.log_name.startswith(f"{parent}/logs/") for parent in self.parents)

    def run(self, store: LogStore, *, newest_first: bool, after: Position | None = None) -> Iterator[Kept]:
        """All entries that fulfil it, in the order of their time, beyond a position in that order."""
        for kept, wanted in self._candidates(store, newest_first):
            if after is not None and (kept.position >= after if newest_first else kept.position <= after):
                continue
            if self._belongs(kept.entry) and matches(wanted, kept.entry):
                yield kept

    def _candidates(self, store: LogStore, newest_first: bool) -> Iterable[tuple[Kept, Node]]:
        """What may fulfil it, each with the part of the filter that concerns it: one may name hundreds of runs."""
        start, end = self._bounds()
        owners = _owners(self.wanted)
        if owners is None:
            found = store.between(start, end)
            return ((kept, self.wanted) for kept in (reversed(found) if newest_first else found))
        theirs: dict[Position, tuple[Kept, Node]] = {}
        for owner in owners:
            wanted = _about(self.wanted, owner)
            for kept in store.between(start, end, owner):
                theirs[kept.position] = (kept, self.wanted if kept.position in theirs else wanted)
        return (theirs[position] for position in sorted(theirs, reverse=newest_first))

    def _bounds(self) -> tuple[int | None, int | None]:
        """First and last time (ns) that every entry found must have."""
        start = end = None
        for part in self.wanted.parts if isinstance(self.wanted, And) else (self.wanted,):
            match part:
                case Compare(("timestamp",), ">=" | ">" | "=", value):
                    start = max(start or 0, nanoseconds(value))
                case Compare(("timestamp",), "<=" | "<", value):
                    moment = nanoseconds(value)
                    end = moment if end is None else min(end, moment)
        return start, end


def _owners(node: Node) -> frozenset[str] | None:
    """The executions and Batch jobs of which every entry found must be one; None: any entry may be found."""
    match node:
        case Compare(("labels", label), "=", value) if label in (EXECUTION_LABEL, JOB_UID_LABEL):
            return frozenset({value})
        case And(parts):
            known = [owners for part in parts if (owners := _owners(part)) is not None]
            return min(known, key=len, default=None)
        case Or(parts):
            several = [_owners(part) for part in parts]
            return frozenset().union(*(each or () for each in several)) if None not in several else None
    return None


def _about(node: Node, owner: str) -> Node:
    """The filter without alternatives that are about others only."""
    match node:
        case And(parts):
            return And(tuple(_about(part, owner) for part in parts))
        case Or(parts):
            kept = [part for part in parts if (owners := _owners(part)) is None or owner in owners]
            return Or(tuple(_about(part, owner) for part in kept))
    return node
