"""Reading ahead: the API is asked and its answers are parsed while earlier rows are being loaded."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Line(Generic[T]):
    """A bounded queue between the thread that reads and the one that loads."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._abandoned = threading.Event()

    def fill(self) -> None:
        """Reads everything, as fast as there is room."""
        end = _End(None)
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # whatever it is, it is raised again where the items are used
            end = _End(error)
        self._put(end)

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error:
            raise item.error

    def abandon(self) -> None:
        """Makes the reading thread stop at its next item."""
        self._abandoned.set()

    def _put(self, item: T | _End) -> bool:
        while not self._abandoned.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """`items`, read in a thread of their own, at most `depth` of them in waiting; their errors come out in place."""
    line = _Line(items, depth)
    threading.Thread(target=line.fill, name="read-ahead", daemon=True).start()
    try:
        yield iter(line)
    finally:
        line.abandon()
