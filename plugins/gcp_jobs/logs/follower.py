"""Follows one run by reads of its own: where a worker waits, which has one run to look after. Blocking."""

import time
from collections.abc import Callable

from gcp_jobs.clients import Access, client
from gcp_jobs.errors import GcpJobsError, TransientApiError
from gcp_jobs.logs import filters
from gcp_jobs.logs.cursor import Cursor
from gcp_jobs.logs.entry import text
from gcp_jobs.logs.lines import Emit, Lines
from gcp_jobs.logs.reads import explained, read, request, shared_pace
from gcp_jobs.model import JobRef
from gcp_jobs.pace import Pace
from gcp_jobs.settings import settings

FIRST_LOOK_S = 2.0
SILENT_LOOK_S = 20.0
REFUSED_LOOK_S = 60.0
PAGES_A_LOOK = 5


class LogFollower:
    """Looks at the log now and then, less often where it is silent. Never raises for what the API does.

    :param emit: called with a level of Python's logging and the line
    :param show_task: whether a line says which task of the run wrote it
    """

    def __init__(
        self,
        ref: JobRef,
        access: Access,
        emit: Emit,
        cursor: Cursor | None = None,
        *,
        show_task: bool = False,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ref, self._access, self._clock = ref, access, clock
        self._pace = pace or shared_pace()
        self.lines = Lines(
            ref, emit, cursor or Cursor(), show_task=show_task, most=settings().log_lines_per_job
        )
        self._due, self._every = 0.0, FIRST_LOOK_S

    @property
    def cursor(self) -> Cursor:
        """How far it has followed."""
        return self.lines.cursor()

    def poll(self) -> None:
        """Emit what is new, if it is time to look."""
        if self._clock() >= self._due and self._pace.take():
            self._look(PAGES_A_LOOK)

    def catch_up(self) -> None:
        """Emit what is new now."""
        self._pace.take(borrow=True)
        self._look(PAGES_A_LOOK)

    def finish(self) -> None:
        """Emit the rest of a run that has ended, once late lines have had time to arrive."""
        time.sleep(settings().log_settle_seconds)
        self._pace.take(borrow=True)
        self._look(None)
        self.lines.close()

    def _look(self, pages: int | None) -> None:
        try:
            with explained(self.ref.project):
                self._rest(fresh=self._read(pages))
        except GcpJobsError as error:
            self._refused(error)

    def _read(self, pages: int | None) -> bool:
        api, token, fresh, done = client("LoggingServiceV2", self._access), "", False, 0
        wanted = filters.of_run(self.ref, self.cursor.since)
        while True:
            page = read(api, request(self.ref.project, wanted, token))
            fresh = self.lines.add(page.entries) or fresh
            self.lines.release()
            token, done = page.next_page_token, done + 1
            if not token or done == pages or self.lines.flooded:
                return fresh
            self._pace.take(borrow=True)

    def _rest(self, *, fresh: bool) -> None:
        self._every = FIRST_LOOK_S if fresh else min(self._every * 1.5, SILENT_LOOK_S)
        self._due = self._clock() + self._every

    def _refused(self, error: GcpJobsError) -> None:
        passing = isinstance(error, TransientApiError)
        self._every = min(self._every * 2, REFUSED_LOOK_S) if passing else REFUSED_LOOK_S
        self._due = self._clock() + self._every
        self.lines.warn(f"The job runs on, its log cannot be read now: {error}")


def tail(ref: JobRef, access: Access, lines: int = 10) -> list[str]:
    """Give the last lines of a run's log, oldest first; none where the log cannot be read."""
    asked = request(ref.project, filters.of_run(ref), newest=lines)
    shared_pace().take(borrow=True)
    try:
        with explained(ref.project):
            page = read(client("LoggingServiceV2", access), asked)
    except GcpJobsError:
        return []
    return [text(entry) for entry in reversed(list(page.entries)[:lines])]
