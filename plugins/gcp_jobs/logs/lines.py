"""One run's entries on their way into a log: once each, in the order of their times, no flood."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from gcp_jobs.links import log_url
from gcp_jobs.logs.cursor import LATE_NS, Cursor
from gcp_jobs.logs.entry import id_of, level, stamp_of, task_of, text
from gcp_jobs.logs.flood import Flood
from gcp_jobs.model import JobRef

KEEP_NS = 4 * LATE_NS  # so long an entry is remembered, for those that come twice
PRUNE = 500

Emit = Callable[[int, str], None]


class Lines:
    """Takes entries as they come, and emits them when they are released.

    :param emit: called with a level of Python's logging and the line
    :param show_task: whether a line says which task of the run wrote it
    :param most: lines that are shown at once and in each hour
    :ivar heard: when each task wrote last, in epoch nanoseconds, by its index as a text
    """

    def __init__(self, ref: JobRef, emit: Emit, cursor: Cursor, *, show_task: bool, most: int) -> None:
        self.ref, self.newest = ref, cursor.newest
        self._emit, self._show_task, self._flood = emit, show_task, Flood(most)
        self.heard: dict[str, int] = {}
        self._seen = dict(cursor.seen)
        self._held: list[tuple[int, Any]] = []
        self._prune_at = PRUNE
        self._warned = self.closed = False

    def cursor(self, gap: int | None = None) -> Cursor:
        """How far the log has come, what is held back not counted.

        :param gap: from this time on entries may be missing
        """
        newest = self.newest if gap is None else min(self.newest, gap + LATE_NS)
        held = {id_of(entry) for _, entry in self._held}
        near = {key: at for key, at in self._seen.items() if at >= newest - LATE_NS and key not in held}
        return Cursor(newest, near)

    @property
    def flooded(self) -> bool:
        """Whether lines are being cut now."""
        return self._flood.cut > 0 and self._flood.on

    def add(self, entries: Iterable[Any]) -> bool:
        """Take what is new of these; gives whether anything was."""
        fresh = False
        for entry in entries:
            stamp, key = stamp_of(entry), id_of(entry)
            if self._seen.get(key) != stamp:
                self._seen[key] = stamp
                self._held.append((stamp, entry))
                task = task_of(entry.labels)
                self.heard[task] = max(stamp, self.heard.get(task, 0))
                fresh = True
        return fresh

    def release(self, until: int | None = None, *, keep: int | None = None) -> None:
        """Emit what is held, up to a time.

        :param keep: from this time on entries may come again, however old they are by then
        """
        self._held.sort(key=_stamp)
        now = self._held if until is None else [held for held in self._held if held[0] <= until]
        self._held = self._held[len(now) :]
        for stamp, entry in now:
            self._show(entry)
            self.newest = max(self.newest, stamp)
        if len(self._seen) > self._prune_at:
            floor = min(self.newest - KEEP_NS, self.newest if keep is None else keep)
            self._seen = {key: at for key, at in self._seen.items() if at >= floor}
            self._prune_at = max(PRUNE, 2 * len(self._seen))

    def warn(self, message: str) -> None:
        """Say once that something is wrong with the log."""
        if not self._warned:
            self._say(f"{message} The whole log: {log_url(self.ref)}")
            self._warned = True

    def close(self) -> None:
        """Emit what is left, and how much was cut; nothing is emitted afterwards."""
        self.release()
        self._tell_cut()
        self.closed = True

    def _show(self, entry: Any) -> None:
        cutting = self._flood.cut > 0
        if self._flood.admits():
            if cutting:
                self._tell_cut()
            task = task_of(entry.labels) if self._show_task else ""
            line = text(entry)
            self._put(level(int(entry.severity)), f"[task {task}] {line}" if task else line)
        elif not cutting:
            self._say(
                f"More than {self._flood.most:,} lines at once: cut from here on. All: {log_url(self.ref)}"
            )

    def _tell_cut(self) -> None:
        if self._flood.cut:
            self._say(f"{self._flood.cut:,} lines or more were cut here. All: {log_url(self.ref)}")
            self._flood.cut = 0

    def _say(self, line: str) -> None:
        self._put(logging.WARNING, line)

    def _put(self, at: int, line: str) -> None:
        if not self.closed:
            self._emit(at, line)


def _stamp(held: tuple[int, Any]) -> int:
    return held[0]
