"""The records that the API serves: a file's worth, repeated as often as asked without being held in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).with_name("sample.json")
_PLACEHOLDER = 8_675_309_271_828_182  # stands for the id while a record's text is cut in two
_STREAM_STEP = 1_000  # records a chunk when everything is sent as one array


@dataclass(frozen=True, slots=True)
class Records:
    """`total` records cycling through `templates` (text before and after the id, first id)."""

    templates: tuple[tuple[bytes, bytes, int], ...]
    total: int

    @classmethod
    def load(cls, path: Path = SAMPLE, repeat: int | None = None) -> "Records":
        """Reads a JSON array of objects with whole-number ids; `repeat` is how many records to serve of them.

        Raises ValueError when the file is no such array.
        """
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, list) or not found:
            raise ValueError(f"{path}: expected a JSON array with at least one record")
        templates = tuple(_template(path, record) for record in found)
        return cls(templates, len(templates) if repeat is None else repeat)

    def array(self, start: int, stop: int) -> bytes:
        """Records number `start` up to `stop` as one JSON array."""
        return b"[" + self._joined(start, stop) + b"]"

    def stream(self) -> Iterator[bytes]:
        """All records as one JSON array, in chunks."""
        yield b"["
        for start in range(0, self.total, _STREAM_STEP):
            yield (b"," if start else b"") + self._joined(start, start + _STREAM_STEP)
        yield b"]"

    def _joined(self, start: int, stop: int) -> bytes:
        templates, count = self.templates, len(self.templates)
        span = max(first for _, _, first in templates) + 1
        return b",".join(
            b"%b%d%b" % (before, first + n // count * span, after)
            for n in range(start, min(stop, self.total))
            for before, after, first in (templates[n % count],)
        )


def _template(path: Path, record: Any) -> tuple[bytes, bytes, int]:
    if not isinstance(record, dict) or type(record.get("id")) is not int:
        raise ValueError(
            f"{path}: every record must be an object with a whole-number id, found {record!r:.80}"
        )
    text = json.dumps({**record, "id": _PLACEHOLDER}, ensure_ascii=False)
    before, after = text.split(str(_PLACEHOLDER), 1)
    return before.encode(), after.encode(), record["id"]
