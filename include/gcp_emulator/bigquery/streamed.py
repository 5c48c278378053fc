"""insertIds of the last minute: what keeps a row that is sent again from being there twice.

https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#dataconsistency
"""

import threading
import time
from collections.abc import Iterable
from typing import TypeAlias

REMEMBERED_S = 60.0
Key: TypeAlias = tuple[str, str, str, str]  # project, dataset, table, insertId


class Streamed:
    """Keys by when they came; one without an insertId is never known."""

    def __init__(self) -> None:
        self._seen: dict[Key, float] = {}
        self._lock = threading.Lock()

    def knows(self, key: Key) -> bool:
        return key[-1] != "" and time.monotonic() - self._seen.get(key, -REMEMBERED_S) < REMEMBERED_S

    def add(self, keys: Iterable[Key]) -> None:
        now = time.monotonic()
        with self._lock:
            self._seen.update(dict.fromkeys((key for key in keys if key[-1]), now))
            while self._seen and now - self._seen[next(iter(self._seen))] > REMEMBERED_S:
                del self._seen[next(iter(self._seen))]
