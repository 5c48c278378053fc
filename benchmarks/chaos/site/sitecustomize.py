"""Takes one safeguard out of gcp_jobs, as CHAOS_WITHOUT names it: chaos must see that, or it proves nothing.

Python imports this in every process whose PYTHONPATH names this folder. Nothing of the product knows of it.
"""

import os
from typing import Any

import wrapt

WITHOUT = os.environ.get("CHAOS_WITHOUT", "")
SETTLE_S = os.environ.get("CHAOS_SETTLE_S", "")
REACH_S = os.environ.get("CHAOS_REACH_S", SETTLE_S)


@wrapt.when_imported("gcp_jobs.once")  # type: ignore[misc, unused-ignore]
def _start(once: Any) -> None:
    def nothing(*_: Any) -> None:
        return None

    def own(self: Any, intent: Any, ref: Any) -> Any:
        return ref

    if WITHOUT == "look":  # the look for a run under its key before another is started
        once.Launcher._look = nothing
    elif WITHOUT == "sole":  # the oldest run of a key wins, the others are cancelled
        once.Launcher._sole = own
    elif WITHOUT == "ended":  # the run of before a clear is cancelled first
        once.Launcher._ended = nothing
    if SETTLE_S:  # lists of the emulator lag by less than Google's may
        made = once.Launcher.__init__

        def quicker(self: Any, *args: Any, **kwargs: Any) -> None:
            quick = {"settle_s": float(SETTLE_S), "reach_s": float(REACH_S)}
            made(self, *args, **{**quick, **kwargs})

        once.Launcher.__init__ = quicker


@wrapt.when_imported("gcp_jobs.ownership")  # type: ignore[misc, unused-ignore]
def _end(ownership: Any) -> None:
    def always(*_: Any) -> bool:
        return True

    if WITHOUT == "trigger":  # on_kill of a trigger taken for a user's word
        ownership.trigger_should_cancel = always
    elif WITHOUT == "worker":  # on_kill of a worker taken for a user's word
        ownership.worker_should_cancel = always


@wrapt.when_imported("gcp_jobs.hub.waiter")  # type: ignore[misc, unused-ignore]
def _hint(waiter: Any) -> None:
    """The two confirming reads: of the waiter that heard of an end, and of the task that resumes."""
    if WITHOUT != "confirm":
        return
    from gcp_jobs.model import JobState, JobStatus

    asked, heard = waiter.Waiter.aget, waiter.Waiter.hear

    def hear(self: Any, *, ends: bool) -> None:
        if ends:
            self._learned = JobStatus(self.ref, JobState.SUCCEEDED)
        heard(self, ends=ends)

    async def aget(self: Any, ref: Any) -> Any:
        if self._learned and self._hinted:
            return self._learned
        return await asked(self, ref)

    waiter.Waiter.hear, waiter.Waiter.aget = hear, aget


@wrapt.when_imported("gcp_jobs.job_run")  # type: ignore[misc, unused-ignore]
def _truth(job_run: Any) -> None:
    if WITHOUT == "confirm":
        from gcp_jobs.model import JobState, JobStatus

        asked = job_run.JobRun.read

        def read(self: Any, ref: Any, seen: str = "", said: str = "") -> Any:
            return JobStatus(ref, JobState(seen)) if seen else asked(self, ref, seen, said)

        job_run.JobRun.read = read
