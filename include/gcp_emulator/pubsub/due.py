"""When which message is to be looked at again: a lease that ends, a wait that is over."""

import heapq
import itertools
from collections.abc import Iterator

from gcp_emulator.pubsub.entry import Entry

SLACK = 64  # outdated items that are not worth a clean-up


class Due:
    """A heap of times. Setting and clearing cost nothing: an item counts while its entry's `due` agrees."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._live = 0

    def set(self, entry: Entry, when: float) -> None:
        self._live += entry.due is None
        entry.due = when
        heapq.heappush(self._heap, (when, next(self._order), entry))
        if len(self._heap) > 2 * self._live + SLACK:
            self._heap = [item for item in self._heap if item[2].due == item[0]]
            heapq.heapify(self._heap)

    def clear(self, entry: Entry) -> None:
        self._live -= entry.due is not None
        entry.due = None

    def next(self) -> float | None:
        """The earliest time, None when nothing is due ever."""
        while self._heap and self._heap[0][2].due != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> Iterator[Entry]:
        """Take out what is due by now, earliest first."""
        while (when := self.next()) is not None and when <= now:
            entry = heapq.heappop(self._heap)[2]
            self.clear(entry)
            yield entry
