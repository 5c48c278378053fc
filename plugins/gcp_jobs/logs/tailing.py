"""One live tail of all jobs' entries of a project, opened again whenever it ends.

https://cloud.google.com/logging/docs/reference/v2/rpc/google.logging.v2#tailLogEntriesRequest and
https://cloud.google.com/logging/quotas: 10 open sessions a project, an hour each, 60,000 entries a minute; each
answer is in order of time, and tells how many entries were left out because of the rate or a slow reader.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from gcp_jobs.clients import Access, async_client
from gcp_jobs.errors import GcpJobsError, QuotaExhausted, TransientApiError
from gcp_jobs.logs import filters
from gcp_jobs.logs.reads import explained
from gcp_jobs.waiting import Backoff

log = logging.getLogger(__name__)

SESSION_S = 3_300.0
OPEN_S = 1.0  # a tail without a word for so long is open: Google sends nothing before the first entry
RETRY_S = 60.0
TROUBLE_AFTER = 4


class Tail:
    """Follows for ever: `run` opens session after session until it is cancelled.

    :param window: seconds that Google may hold entries to bring them into order
    :param on_entries: called with the bare LogEntry messages of each answer
    :param on_open: called when a session has opened; entries before that may have been missed
    :param on_loss: called when Google has left entries out
    :param on_end: called when a session has ended
    """

    def __init__(
        self,
        access: Access,
        project: str,
        window: float,
        *,
        on_entries: Callable[[Sequence[Any]], None],
        on_open: Callable[[], None],
        on_loss: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._access, self._project, self._window = access, project, window
        self._on_entries, self._on_open, self._on_loss, self._on_end = on_entries, on_open, on_loss, on_end
        self._open = self._told = False
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        pace = Backoff(0.2, RETRY_S)
        while True:
            error: GcpJobsError | None = None
            try:
                with explained(self._project, "follow the log"):
                    await self._session()
            except GcpJobsError as refusal:
                error = refusal
            if self._open:
                pace.reset()
            self._ended(error)
            await asyncio.sleep(pace.take())

    async def _session(self) -> None:
        api = await async_client("LoggingServiceV2", self._access)
        opening: asyncio.TimerHandle | None = None
        try:
            call = await api.tail_log_entries(requests=self._requests(), timeout=SESSION_S, retry=None)
            opening = asyncio.get_running_loop().call_later(OPEN_S, self._opened)
            async for answer in call:
                bare = type(answer).pb(answer)
                if bare.suppression_info:
                    self._on_loss()
                self._opened()
                self._on_entries(bare.entries)
                await asyncio.sleep(0)  # a flood must not keep others from their turn
        finally:
            if opening:
                opening.cancel()

    async def _requests(self) -> AsyncIterator[Any]:
        """The upward half: the one request, then silence for as long as the session lasts."""
        from google.cloud.logging_v2.types import TailLogEntriesRequest

        yield TailLogEntriesRequest(
            resource_names=[f"projects/{self._project}"],
            filter=filters.of_project(self._project),
            buffer_window={"nanos": int(self._window * 10**9) % 10**9, "seconds": int(self._window)},
        )
        await asyncio.Event().wait()

    def _opened(self) -> None:
        if self._open:
            return
        if self._told:
            log.info("The jobs' log of %s is followed live again", self._project)
        self._open, self._told, self._failures = True, False, 0
        self._on_open()

    def _ended(self, error: GcpJobsError | None) -> None:
        was_open, self._open = self._open, False
        self._failures = 0 if was_open else self._failures + 1
        passing = error is None or (
            isinstance(error, TransientApiError) and not isinstance(error, QuotaExhausted)
        )
        if (passing and self._failures < TROUBLE_AFTER) or self._told:
            log.debug("The tail of %s has ended: %s", self._project, error)
        else:
            log.warning("Jobs' log lines come by lists now, slower: %s %s", error, _remedy(error))
            self._told = True
        self._on_end()


def _remedy(error: GcpJobsError | None) -> str:
    if isinstance(error, QuotaExhausted):
        return "A project has 10 live tails: GCP_JOBS_LOGS_BY=sink needs none, GCP_JOBS_LOGS_BY=lists does not ask."
    return ""
