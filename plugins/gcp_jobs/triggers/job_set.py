"""Waits for a set of jobs in the triggerer's event loop, all of them on the process' hub."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from gcp_jobs.clients import Access
from gcp_jobs.errors import EmulatorUnreachable, GcpJobsError, NotFound, TransientApiError
from gcp_jobs.hub import Waiter, hub_for
from gcp_jobs.job_set import JobSet, Want, summary
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.settings import settings
from gcp_jobs.waiting import Backoff, Ended, Remote, adrive, wait

FIRST_LOOK_S = 1.0


class JobSetTrigger(BaseTrigger):
    """
    Fires once, when enough jobs have ended or enough cannot any more: {"outcome": "ended" | "timed_out" | "error"}.

    With "ended" come `result` (job_set.summary) and `shortfall` (Want.shortfall, empty where enough ended well).

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
        want = Want.from_dict(self.want)
        try:
            async with asyncio.timeout(left):
                found = await self._settle(JobSet.from_dict(self.jobs), want)
            said = {"result": summary(found), "shortfall": want.shortfall(found)}
            event: dict[str, Any] = {"outcome": "ended", **said}
        except TimeoutError:
            event = {"outcome": "timed_out"}
        except GcpJobsError as error:
            event = {"outcome": "error", "error": str(error), "permanent": error.permanent}
        except Exception as error:  # the outermost edge: an escaping error would hide what was waited for
            self.log.exception("The wait broke")
            event = {"outcome": "error", "error": f"{type(error).__name__}: {error}", "permanent": False}
        yield TriggerEvent({**event, "at": time.time()})

    async def _settle(self, jobs: JobSet, want: Want) -> list[JobStatus | None]:
        """Wait until the set's fate is known; gives what is known of each job."""
        backend = await asyncio.to_thread(_backend, Access.from_dict(self.access))
        seen: dict[str, JobStatus | None] = {}
        named = [ref.name for ref in jobs.refs]
        listed: dict[str, JobStatus] = {}
        waits = {self._begin(backend, ref, seen) for ref in jobs.refs}
        pace, often = Backoff(FIRST_LOOK_S, self.period), settings().sweep_seconds

        def known() -> list[JobStatus | None]:
            return [seen[name] for name in (*named, *listed)]

        try:
            while True:
                for status in await self._listed(backend, jobs):
                    listed.setdefault(status.ref.name, status)
                    if status.terminal:
                        seen[status.ref.name] = status
                    elif status.ref.name not in seen:
                        waits.add(self._begin(backend, status.ref, seen))
                if want.over(known()) is not None:
                    return known()
                missing = len(known()) < want.at_least
                pause = math.inf if not jobs.filter else pace.take() if missing else often
                waits = await _progress(waits, pause, lambda: want.over(known()) is not None)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _listed(self, backend: Any, jobs: JobSet) -> list[JobStatus]:
        """The jobs that the filter finds, asked for until Google says."""
        pace = Backoff(FIRST_LOOK_S, self.period)
        while jobs.filter:
            try:
                return await _all_pages(backend, jobs)
            except (TransientApiError, EmulatorUnreachable) as error:
                self.log.warning("Still looking: %s", error)
            await asyncio.sleep(pace.take())
        return []

    def _begin(self, backend: Any, ref: JobRef, seen: dict[str, JobStatus | None]) -> asyncio.Task[None]:
        """Wait for one job beside the others."""
        seen[ref.name] = None

        async def end() -> None:
            status = await self._end(backend, ref)
            self.log.info("Job %s is %s", status.ref, status.state)
            seen[ref.name] = status

        return asyncio.create_task(end())

    async def _end(self, backend: Any, ref: JobRef) -> JobStatus:
        """Wait until the job is there, then until it has ended; gives its last status."""
        hub = hub_for(Access.from_dict(self.access))
        steps = wait(ref, deadline=None, period=self.period, log=self.log, told=hub is not None)
        waiting: AbstractAsyncContextManager[Waiter | None] = (
            nullcontext() if hub is None else hub.waiting(ref, backend, self.log)
        )
        async with waiting as waiter:
            sleep = waiter.sleep if waiter else asyncio.sleep
            meant = _Meant(waiter or backend, ref, Backoff(FIRST_LOOK_S, self.period), sleep)
            ended: Ended = await adrive(steps, meant, ref, sleep)
        return ended.status or JobStatus(ref, JobState.GONE)


@dataclass(slots=True)
class _Meant:
    """Reads the first job that bears the name, once it is there: another that bears it later is not meant."""

    remote: Remote
    ref: JobRef
    pace: Backoff
    sleep: Callable[[float], Awaitable[None]]

    async def aget(self, ref: JobRef) -> JobStatus:
        while True:
            try:
                status = await self.remote.aget(self.ref)
            except NotFound:
                if self.ref.uid:
                    raise
                await self.sleep(self.pace.take())
            else:
                self.ref = status.ref
                return status

    async def acancel(self, ref: JobRef) -> None:
        await self.remote.acancel(self.ref)


async def _progress(
    waits: set[asyncio.Task[None]], seconds: float, over: Callable[[], bool]
) -> set[asyncio.Task[None]]:
    """Let jobs end until it is over, or for so many seconds; gives the waits that are left."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while (left := until - clock()) > 0 and not over():
        if not waits:
            await asyncio.sleep(left)
            break
        timeout = None if math.isinf(left) else left
        ended, waits = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.result()
    return waits


async def _all_pages(backend: Any, jobs: JobSet) -> list[JobStatus]:
    found: list[JobStatus] = []
    token = ""
    while True:
        page = await backend.alist(jobs.project, jobs.region, token, jobs.filter)
        found += page.runs
        token = page.token
        if not token:
            return found


def _backend(access: Access) -> Any:
    from gcp_jobs.backends.batch import BatchBackend

    return BatchBackend(access)
