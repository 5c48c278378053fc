"""Waits for one run and follows its log, in the triggerer's event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from gcp_jobs import by_hand, ownership
from gcp_jobs.backends.base import JobBackend
from gcp_jobs.clients import Access
from gcp_jobs.errors import GcpJobsError
from gcp_jobs.hub import hub_for
from gcp_jobs.logs import Cursor, Following, source_for
from gcp_jobs.model import JobRef
from gcp_jobs.waiting import Ended, adrive, end, wait
from gcp_jobs.watch import Watch


class JobTrigger(BaseTrigger):
    """
    Fires once, when the run is over: {"outcome": "ended" | "timed_out" | "error", "error", "cursor", "carry", ...}.
    Outcome "stuck": it is not over, but has wanted machines for longer than `patience`; "straggling": a task of it has
    been silent for too long (`why`), and the job may be run again elsewhere.

    The verdict itself is read again by whoever resumes: an event is a hint. `log_told`: the log needs no more look.
    `state` and `said` are what was seen of the run last, for when it is gone by then.

    :param ref: the run, as JobRef.to_dict gives it
    :param access: how to reach Google, as Access.to_dict gives it
    :param deadline: epoch seconds after which the run is cancelled; None waits for ever
    :param period: longest time between two reads, in seconds
    :param claim: the try that owns the run (ownership.Claim.to_dict), None where kills must not cancel it
    :param cursor: how far its log was followed, None for the beginning
    :param follow_log: whether to bring the run's log into the task log
    :param show_task: whether each line says which task of the run wrote it
    :param patience: seconds for which the run may want machines before it starts, None for ever
    :param watch: how to look for silent tasks (gcp_jobs.watch), None for not at all
    :param carry: given back in the event as it is (`airflow dags test` loses a deferral's kwargs)
    """

    def __init__(
        self,
        ref: dict[str, str],
        access: dict[str, Any],
        deadline: float | None = None,
        period: float = 10.0,
        claim: dict[str, Any] | None = None,
        cursor: dict[str, Any] | None = None,
        follow_log: bool = True,
        show_task: bool = False,
        carry: dict[str, Any] | None = None,
        patience: float | None = None,
        watch: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ref, self.access, self.deadline, self.period = ref, access, deadline, period
        self.claim, self.cursor, self.follow_log, self.show_task = claim, cursor, follow_log, show_task
        self.carry, self.patience, self.watch = carry or {}, patience, watch

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments: a triggerer rebuilds the trigger from these alone."""
        names = (
            "ref", "access", "deadline", "period", "claim", "cursor", "follow_log", "show_task", "carry", "patience",
            "watch",
        )  # fmt: skip
        return "gcp_jobs.triggers.job.JobTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the end and fire."""
        ref = JobRef.from_dict(self.ref)
        by_hand.taken(ref.name)
        if self.claim and not by_hand.runs_trigger(self.trigger_id):
            ownership.acquaint(ownership.Claim.from_dict(self.claim))
        cursor, told = Cursor.from_dict(self.cursor), False
        try:
            async with self._following(ref) as following:
                try:
                    ended = await self._watched(ref, following)
                    if following and not ended.stuck and not ended.straggling:
                        await following.finish(_age_s(ended))
                        told = True
                finally:
                    cursor = following.cursor if following else cursor
            outcome = "timed_out" if ended.timed_out else "stuck" if ended.stuck else "ended"
            event: dict[str, Any] = {"outcome": outcome}
            if ended.straggling:
                event = {"outcome": "straggling", "why": ended.straggling}
            if ended.status:
                event |= {"state": str(ended.status.state), "said": ended.status.message}
        except asyncio.CancelledError:
            # Ctrl-C: no on_kill comes, and no other try
            if self.claim and by_hand.runs_trigger(self.trigger_id):
                await self._cancel()
            raise
        except GcpJobsError as error:
            event = {"outcome": "error", "error": str(error), "permanent": error.permanent}
        except (
            Exception
        ) as error:  # the outermost edge: an escaping error would fail the task without our verdict
            self.log.exception("The wait for %s broke", ref)
            event = {"outcome": "error", "error": f"{type(error).__name__}: {error}", "permanent": False}
        at = {"at": time.time(), "cursor": cursor.to_dict(), "log_told": told}
        yield TriggerEvent({**event, **at, "carry": self.carry})

    async def _watched(self, ref: JobRef, following: Following | None) -> Ended:
        """Wait, and look for silent tasks beside, where that is wanted; who does not hear the log cannot."""
        if self.watch is None or following is None:
            return await self._wait(ref)
        backend = await asyncio.to_thread(self.backend, ref)
        watch = Watch.of(self.watch, ref, backend, following.lines, self.log, sole=not self.show_task)
        waiting, watching = (
            asyncio.ensure_future(self._wait(ref)),
            asyncio.ensure_future(watch.run(following.whole)),
        )
        try:
            await asyncio.wait({waiting, watching}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else Ended(None, straggling=watching.result())
        finally:
            for each in (waiting, watching):
                each.cancel()
            await asyncio.gather(waiting, watching, return_exceptions=True)

    async def _wait(self, ref: JobRef) -> Ended:
        """Wait on the process' hub where there is one, else by reads of our own."""
        backend = await asyncio.to_thread(self.backend, ref)  # imports Google's libraries
        hub = hub_for(Access.from_dict(self.access))
        steps = wait(
            ref, deadline=self.deadline, period=self.period, log=self.log, told=hub is not None, patience=self.patience
        )  # fmt: skip
        ended: Ended
        if hub is None:
            ended = await adrive(steps, backend, ref)
            return ended
        async with hub.waiting(ref, backend, self.log) as waiter:
            ended = await adrive(steps, waiter, ref, waiter.sleep)
        return ended

    async def on_kill(self) -> None:
        """Cancel the run if a user ended the task, and only then (see ownership)."""
        if self.claim:
            await ownership.on_trigger_kill(ownership.Claim.from_dict(self.claim), self._cancel)

    async def _cancel(self) -> None:
        ref = JobRef.from_dict(self.ref)
        self.log.info("The task was ended by a user: cancelling %s %s", ref.noun, ref)
        await adrive(end(ref, log=self.log), self.backend(ref), ref)

    def backend(self, ref: JobRef) -> JobBackend:
        """Give the backend that `ref` names."""
        from gcp_jobs.backends.choice import backend_for

        return backend_for(ref, Access.from_dict(self.access))

    def _following(self, ref: JobRef) -> AbstractAsyncContextManager[Following | None]:
        """Follow the run's log on the process' source."""
        if not self.follow_log:
            return nullcontext()
        log = self.log

        def emit(level: int, line: str) -> None:
            log.log(level, "%s", line)

        source = source_for(Access.from_dict(self.access), ref.project)
        return source.following(ref, emit, Cursor.from_dict(self.cursor), show_task=self.show_task)


def _age_s(ended: Ended) -> float:
    """Seconds since the run's end, 0 where nobody says when that was."""
    at = ended.status.ended if ended.status else None
    return time.time() - at.timestamp() if at else 0.0
