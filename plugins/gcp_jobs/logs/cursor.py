"""How far a log was followed; travels in triggers and events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

LATE_NS = 15 * 10**9  # an entry may arrive so long after younger ones: each look starts that much earlier


@dataclass(frozen=True, slots=True)
class Cursor:
    """The newest time (epoch nanoseconds), and the entries near it that are done: insertId -> time."""

    newest: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def since(self) -> int:
        """From when on the log is to be read, 0 for its beginning."""
        return max(0, self.newest - LATE_NS)

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers and events."""
        return {"newest": self.newest, "seen": dict(self.seen)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any] | None) -> Self:
        """Read what `to_dict` gave; nothing means the log's beginning."""
        return cls(value["newest"], dict(value["seen"])) if value else cls()
