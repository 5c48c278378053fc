"""After a failure nobody asks for a while, whichever process met it: each Airflow task is a process of its own."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

REST_S = 30.0


class Circuit:
    """Open for `rest_s` seconds after each failure.

    :param mark: a file whose age tells the other processes of this machine; None keeps it to this one
    """

    def __init__(
        self, mark: Path | None = None, rest_s: float = REST_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._mark, self._rest_s, self._clock = mark, rest_s, clock
        self._failed = 0.0

    @property
    def rests_s(self) -> float:
        """Seconds until somebody may ask again, 0 when now."""
        failed = self._failed
        if self._mark:
            with suppress(OSError):
                failed = max(failed, self._mark.stat().st_mtime)
        left = failed + self._rest_s - self._clock()
        return left if 0 < left <= self._rest_s else 0.0

    def failed(self) -> None:
        """Nobody asks for a while."""
        self._failed = self._clock()
        if self._mark:
            with suppress(OSError):
                self._mark.touch()

    def held(self) -> None:
        """It answered: all may ask."""
        self._failed = 0.0
        if self._mark:
            with suppress(OSError):
                self._mark.unlink(missing_ok=True)
