"""A token bucket: keeps this process' reads of an API under the quota that Google gives a project."""

import time
from collections.abc import Callable


class Pace:
    """At most `per_minute` calls a minute, in bursts of up to `burst`, by default a sixth of that."""

    def __init__(
        self, per_minute: float, clock: Callable[[], float] = time.monotonic, burst: float | None = None
    ) -> None:
        self._rate, self._clock = per_minute / 60, clock
        self._most = max(1.0, per_minute / 6 if burst is None else burst)
        self._tokens, self._at = self._most, clock()

    def take(self, *, borrow: bool = False) -> bool:
        """Say whether a call is allowed now; `borrow` takes one that the future pays back."""
        self._fill()
        if self._tokens < 1 and not borrow:
            return False
        self._tokens -= 1
        return True

    def turn(self) -> float:
        """Take the next place in the queue: gives the seconds until its call is allowed, 0 for now."""
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def give_back(self) -> None:
        """A turn was not needed."""
        self._tokens += 1

    @property
    def queue(self) -> float:
        """How many turns are taken that have not come yet."""
        self._fill()
        return max(0.0, -self._tokens)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
