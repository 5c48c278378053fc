"""Lines that say what goes on: each step with its seconds, and a sign of life while one takes long."""

import time
from collections.abc import Callable

QUIET_S = 4.0


class Progress:
    """Prints one line an event, with the seconds since the start; never silent for more than `QUIET_S` in a wait."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        self._last = time.monotonic()
        print(f"[{self.seconds:5.1f} s] {text}", flush=True)

    def still(self, what: str) -> None:
        """Says that `what` goes on, if nothing was said for a while."""
        if time.monotonic() - self._last >= QUIET_S:
            self.say(f"... {what}")

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
        """Returns when `done()`; raises TimeoutError naming `what` after `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not done after {timeout_s:.0f} s")
            self.still(what)
            time.sleep(0.05)
