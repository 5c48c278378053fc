"""Answers of requests with a request id, so that one sent twice acts once."""

import time
from collections.abc import Callable

KEPT_S = 3600.0  # the sixty minutes that Batch guarantees


class Requests:
    """Maps (method, resource, request id) to the name of what the first request made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, ...], tuple[float, str]] = {}

    def find(self, *key: str) -> str | None:
        """What the request made when it came first; nothing for an empty id."""
        self._forget()
        return self._known[key][1] if key[-1] and key in self._known else None

    def keep(self, made: str, *key: str) -> None:
        if key[-1]:
            self._known[key] = (self._clock() + KEPT_S, made)

    def _forget(self) -> None:
        """Drop what is too old; entries stand in the order of their time."""
        now = self._clock()
        while self._known:
            oldest = next(iter(self._known))
            if self._known[oldest][0] > now:
                return
            del self._known[oldest]
