"""if[Meta]generation[Not]Match: https://cloud.google.com/storage/docs/request-preconditions."""

from collections.abc import Mapping
from dataclasses import dataclass

from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import condition_failed, invalid

NAMES = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")


class NotModified(Exception):
    """A read's NotMatch condition does not hold: HTTP 304."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold; None asks for nothing. Generation 0 is that of an object that is not there."""

    generation: int | None = None
    generation_not: int | None = None
    metageneration: int | None = None
    metageneration_not: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], prefix: str = "if") -> "Conditions":
        """Out of a query; `prefix` is "ifSource" for a copy's source. Refusal when a value is no number."""
        return cls(*(number(query, prefix + name) for name in NAMES))

    def check_write(self, found: Record | None) -> None:
        """Refusal 412 unless a write to what is found (None: nothing) may go on."""
        if self._unmatched(found) or self._excluded(found):
            raise condition_failed()

    def check_read(self, found: Record) -> None:
        """Refusal 412, or NotModified."""
        if self._unmatched(found):
            raise condition_failed()
        if self._excluded(found):
            raise NotModified

    def check_bucket(self, metageneration: int, *, read: bool) -> None:
        """The same for a bucket, which has no generation."""
        if self.metageneration not in (None, metageneration):
            raise condition_failed()
        if self.metageneration_not == metageneration:
            if read:
                raise NotModified
            raise condition_failed()

    def _unmatched(self, found: Record | None) -> bool:
        generation, metageneration = (found.generation, found.metageneration) if found else (0, None)
        return self.generation not in (None, generation) or self.metageneration not in (None, metageneration)

    def _excluded(self, found: Record | None) -> bool:
        if found is None:  # "if no live object exists, the precondition fails"
            return self.generation_not is not None or self.metageneration_not is not None
        return found.generation == self.generation_not or found.metageneration == self.metageneration_not


def number(query: Mapping[str, str], name: str) -> int | None:
    """A query's number, None when it is not given; Refusal when it is none."""
    text = query.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit():
        raise invalid(f"Invalid value for: Invalid long value: '{text}' for parameter {name}.")
    return int(text)


NONE = Conditions()
