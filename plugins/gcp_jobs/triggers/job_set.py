"""Waits for a set of jobs in the triggerer's event loop, each by the trigger that waits for one."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, GcpJobsError, NotFound, TransientApiError
from gcp_jobs.job_set import JobSet, Want
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.triggers.job import JobTrigger
from gcp_jobs.waiting import Backoff

FIRST_LOOK_S = 1.0


class JobSetTrigger(BaseTrigger):
    """
    Fires once, when enough jobs have ended or enough cannot any more: {"outcome": "ended" | "timed_out" | "error"}.

    :param jobs: which jobs, as JobSet.to_dict gives it
    :param want: how many, as Want.to_dict gives it
    :param access: how to reach Google, as Access.to_dict gives it
    :param deadline: epoch seconds after which the wait ends; None waits for ever
    :param period: longest time between two looks for jobs that are not there yet, in seconds
    """

    def __init__(
        self,
        jobs: dict[str, Any],
        want: dict[str, Any],
        access: dict[str, Any],
        deadline: float | None = None,
        period: float = 30.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.jobs, self.want, self.access, self.deadline, self.period = jobs, want, access, deadline, period

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments: a triggerer rebuilds the trigger from these alone."""
        names = ("jobs", "want", "access", "deadline", "period")
        return "gcp_jobs.triggers.job_set.JobSetTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait and fire."""
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        event: dict[str, Any] = {"outcome": "ended"}
        try:
            async with asyncio.timeout(left):
                await self._settle()
        except TimeoutError:
            event = {"outcome": "timed_out"}
        except GcpJobsError as error:
            event = {"outcome": "error", "error": str(error), "permanent": error.permanent}
        except Exception as error:  # the outermost edge: an escaping error would hide what was waited for
            self.log.exception("The wait broke")
            event = {"outcome": "error", "error": f"{type(error).__name__}: {error}", "permanent": False}
        yield TriggerEvent({**event, "at": time.time()})

    async def _settle(self) -> None:
        jobs, want = JobSet.from_dict(self.jobs), Want.from_dict(self.want)
        backend = await asyncio.to_thread(_backend, Access.from_dict(self.access))
        refs = [*jobs.refs, *await self._listed(backend, jobs, want)]
        self.log.info("Waiting for %s of %d jobs", want.need, len(refs))
        seen: dict[str, JobStatus | None] = dict.fromkeys(ref.name for ref in refs)
        waits = [asyncio.create_task(self._end(backend, ref)) for ref in refs]
        try:
            for next_one in asyncio.as_completed(waits):
                status = await next_one
                self.log.info("Job %s is %s", status.ref, status.state)
                seen[status.ref.name] = status
                if want.over(list(seen.values())) is not None:
                    return
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _listed(self, backend: Any, jobs: JobSet, want: Want) -> list[JobRef]:
        """The jobs that the filter finds, once there are enough of them."""
        pace = Backoff(FIRST_LOOK_S, self.period)
        while jobs.filter:
            try:
                found = await _all_pages(backend, jobs)
                if len(found) + len(jobs.names) >= want.at_least:
                    return found
            except TransientApiError as error:
                self.log.warning("Still looking: %s", error)
            await asyncio.sleep(pace.take())
        return []

    async def _end(self, backend: JobBackend, ref: JobRef) -> JobStatus:
        """Wait until the job is there, then until it has ended; gives its last status."""
        if not ref.uid:
            ref = (await self._read(backend, ref, patient=(NotFound, TransientApiError))).ref
        alone = JobTrigger(ref=ref.to_dict(), access=self.access, period=self.period, follow_log=False)
        async for event in alone.run():
            if event.payload["outcome"] == "error":
                raise ApiError(f"the wait broke: {event.payload['error']}", where=ref.name)
        try:
            return await self._read(backend, ref, patient=(TransientApiError,))
        except NotFound:
            return JobStatus(ref, JobState.GONE)

    async def _read(
        self, backend: JobBackend, ref: JobRef, *, patient: tuple[type[GcpJobsError], ...]
    ) -> JobStatus:
        """A job's status, asked for until the answer is none of these errors."""
        pace = Backoff(FIRST_LOOK_S, self.period)
        while True:
            try:
                return await backend.aget(ref)
            except patient as error:
                self.log.debug("No status of %s yet: %s", ref, error)
            await asyncio.sleep(pace.take())


async def _all_pages(backend: Any, jobs: JobSet) -> list[JobRef]:
    found: list[JobRef] = []
    token = ""
    while True:
        page = await backend.alist(jobs.project, jobs.region, token, jobs.filter)
        found += [status.ref for status in page.runs]
        token = page.token
        if not token:
            return found


def _backend(access: Access) -> Any:
    from gcp_jobs.backends.batch import BatchBackend

    return BatchBackend(access)
