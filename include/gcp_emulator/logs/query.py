"""Finds log entries: the filter, and what of it narrows the search beforehand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gcp_emulator.filters import check, matches, parse
from gcp_emulator.filters.grammar import And, Compare, Node
from gcp_emulator.filters.match import nanoseconds
from gcp_emulator.logs.store import EXECUTION_LABEL, JOB_UID_LABEL, Kept, LogStore
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

    def run(self, store: LogStore, *, newest_first: bool) -> Iterator[Kept]:
        """All entries that fulfil it, in the order of their time."""
        start, end, owner = self._bounds()
        found = store.between(start, end, owner)
        for kept in reversed(found) if newest_first else found:
            if self.fulfilled_by(kept.entry):
                yield kept

    def _bounds(self) -> tuple[int | None, int | None, str | None]:
        """First and last time (ns) and the execution or Batch job that every entry found must have."""
        start = end = owner = None
        for part in self.wanted.parts if isinstance(self.wanted, And) else (self.wanted,):
            match part:
                case Compare(("timestamp",), ">=" | ">" | "=", value):
                    start = max(start or 0, nanoseconds(value))
                case Compare(("timestamp",), "<=" | "<", value):
                    moment = nanoseconds(value)
                    end = moment if end is None else min(end, moment)
                case Compare(("labels", label), "=", value) if label in (EXECUTION_LABEL, JOB_UID_LABEL):
                    owner = value
        return start, end, owner
