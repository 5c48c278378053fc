"""How much of one job's log is shown: a flood would drown the task log, and whoever writes it."""

import time
from collections.abc import Callable

HOUR_S = 3_600
ENOUGH = 0.1  # of the limit must have come back before lines are shown again: else every tenth line would be


class Flood:
    """Admits `most` lines at once, and as many again in each hour."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.cut = most, 0
        self._clock = clock
        self._left, self._at = float(most), clock()

    @property
    def on(self) -> bool:
        """Whether lines are being cut."""
        now = self._clock()
        self._left = min(self.most, self._left + (now - self._at) * self.most / HOUR_S)
        self._at = now
        return self._left < (max(1.0, self.most * ENOUGH) if self.cut else 1.0)

    def admits(self) -> bool:
        """Say whether the next line is shown; what is not counts as `cut` until somebody sets that back."""
        if self.on:
            self.cut += 1
            return False
        self._left -= 1
        return True
