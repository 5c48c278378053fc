"""The asyncio tasks behind something that many share: begun by the first, ended a while after the last."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

log = logging.getLogger(__name__)

RESTART_S = 10.0

Work = Callable[[], Coroutine[Any, Any, None]]


class Works:
    """Tasks with a context of their own: else they would write into the log of the task that happened to come first."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: list[asyncio.Task[None]] = []  # the loop itself holds tasks only weakly
        self._idle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether they have begun and not been ended."""
        return bool(self._tasks)

    def wanted(self) -> None:
        """Somebody has come: do not end."""
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def begin(self, works: Iterable[Work]) -> None:
        """Run these until they are ended."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(_keep(work), context=contextvars.Context()) for work in works]

    def linger(self, seconds: float, wanted: Callable[[], bool]) -> None:
        """End after so many seconds, unless somebody wants them then."""

        def end() -> None:
            if not wanted():
                self._ending, self._tasks = self._tasks, []
                for task in self._ending:
                    task.cancel()

        if self._tasks:
            self._idle = asyncio.get_running_loop().call_later(seconds, end, context=contextvars.Context())

    async def stop(self) -> None:
        """End now."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(work: Work) -> None:
    """Run one; a bug in it must not leave thousands deaf for good."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("%s broke; it starts again in %.0f s", work.__qualname__, RESTART_S)
        await asyncio.sleep(RESTART_S)
