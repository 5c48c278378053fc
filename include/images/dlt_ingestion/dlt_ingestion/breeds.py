"""From elements of the API's array to rows, and to rejected records with their reasons.

A record can be used when it is a JSON object whose `id` is a whole number that fits a bigint. Nothing else is
asked of it here: the record is kept as the API sent it, for the models downstream to judge.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from dlt_ingestion.elements import Unreadable

_BIGINT = 2**63
_KINDS: dict[type, str] = {
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record set aside: its id if it has a usable one, its text, and why."""

    row_id: int | None
    record: str
    reason: str


@dataclass(slots=True)
class Batch:
    """Rows as columns: `row_ids[n]` belongs to `texts[n]`, JSON in UTF-8."""

    row_ids: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    size: int = 0  # bytes of JSON

    @property
    def records(self) -> int:
        """All records, rejected ones included."""
        return len(self.row_ids) + len(self.rejected)

    def add(self, elements: Iterable[Any]) -> None:
        """Appends `elements` as rows where they can be used."""
        row_ids, texts, dumps, size = self.row_ids, self.texts, orjson.dumps, 0
        for element in elements:
            if type(element) is dict and type(row_id := element.get("id")) is int and -_BIGINT <= row_id < _BIGINT:
                try:
                    text = dumps(element)
                except orjson.JSONEncodeError as error:
                    self._reject(row_id, repr(element), f"cannot be written as JSON: {error}")
                    continue
                row_ids.append(row_id)
                texts.append(text)
                size += len(text)
            else:
                self._reject(None, *_why(element))
        self.size += size

    def merge(self, other: "Batch") -> None:
        """Appends the rows of `other`."""
        self.row_ids += other.row_ids
        self.texts += other.texts
        self.rejected += other.rejected
        self.size += other.size

    def _reject(self, row_id: int | None, record: str, reason: str) -> None:
        record = record.encode("utf-8", "replace").decode()
        self.rejected.append(Rejected(row_id, record, reason))
        self.size += len(record)


def _why(element: Any) -> tuple[str, str]:
    """Text and reason of an element that is no row."""
    if isinstance(element, Unreadable):
        return element.text, element.reason
    try:
        text = orjson.dumps(element).decode()
    except orjson.JSONEncodeError:
        text = repr(element)
    if not isinstance(element, dict):
        return text, f"expected an object, found {_KINDS[type(element)]}"
    if "id" not in element:
        return text, "id is missing"
    row_id = element["id"]
    if type(row_id) is int:
        return text, "id does not fit 64 bits"
    return text, f"id must be a whole number, found {_KINDS.get(type(row_id), 'an object')}"
