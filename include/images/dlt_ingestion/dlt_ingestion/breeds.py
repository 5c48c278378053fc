"""From elements of the API's array to rows, and to rejected records with their reasons.

A record can be used when it is a JSON object whose `id` is a whole number that fits a bigint. Nothing else is
asked of it here: the record is kept byte by byte as the API sent it, for the models downstream to judge.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from dlt_ingestion.elements import Element, Unreadable

_Bigint = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Breed(msgspec.Struct):
    id: _Bigint


_BREED = msgspec.json.Decoder(_Breed)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record set aside: its text, and why."""

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

    def add(self, elements: Iterable[Element]) -> None:
        """Appends `elements` as rows where they can be used."""
        decode = _BREED.decode
        for element in elements:
            if isinstance(element, Unreadable):
                self._reject(element.text, element.reason)
                continue
            try:
                self.row_ids.append(decode(element).id)
            except msgspec.DecodeError as error:
                self._reject(element.decode(), str(error))
            else:
                self.texts.append(element)
                self.size += len(element)

    def merge(self, other: "Batch") -> None:
        """Appends the rows of `other`."""
        self.row_ids += other.row_ids
        self.texts += other.texts
        self.rejected += other.rejected
        self.size += other.size

    def _reject(self, record: str, reason: str) -> None:
        self.rejected.append(Rejected(record, reason))
        self.size += len(record)
