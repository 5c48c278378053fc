"""Barriers: a task goes on when every task of its group has reached the same one."""

import asyncio


class Barriers:
    """All barriers of a job, by the index of their runnable. A task that has ended holds nobody back."""

    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        self._reached: dict[int, set[int]] = {}
        self._open: dict[int, asyncio.Event] = {}
        self._ended: set[int] = set()

    async def reach(self, barrier: int, task: int) -> None:
        """Wait at a barrier until all others are there, too."""
        self._reached.setdefault(barrier, set()).add(task)
        event = self._open.setdefault(barrier, asyncio.Event())
        self._look()
        await event.wait()

    def end(self, task: int) -> None:
        """The task will reach no barrier any more."""
        self._ended.add(task)
        self._look()

    def _look(self) -> None:
        for barrier, reached in self._reached.items():
            if len(reached | self._ended) >= self._tasks:
                self._open[barrier].set()
