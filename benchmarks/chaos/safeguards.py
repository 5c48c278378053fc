"""Takes one safeguard out of gcp_jobs, in this process: chaos must see that, or it proves nothing.

Nothing of the product knows of it. Each stands for one thing that the product does lest a job be lost, doubled or
wrongly cancelled.
"""

from collections.abc import Callable
from typing import Any

from gcp_jobs import job_run, once, ownership
from gcp_jobs.hub import waiter
from gcp_jobs.model import JobRef, JobState, JobStatus


def nothing(*_: Any) -> None:
    """Neither look nor end."""


def always(*_: Any) -> bool:
    """Cancel."""
    return True


def look() -> None:
    """The look for a run under its key before another is started."""
    once.Launcher._look = nothing  # type: ignore[method-assign, assignment]


def sole() -> None:
    """The oldest run of a key wins, the others are cancelled."""

    def own(_: Any, __: Any, ref: JobRef) -> JobRef:
        return ref

    once.Launcher._sole = own  # type: ignore[method-assign, assignment]


def ended() -> None:
    """The run of before a clear is cancelled first."""
    once.Launcher._ended = nothing  # type: ignore[method-assign, assignment]


def trigger() -> None:
    """A trigger's on_kill is no proof that a user ended the task."""
    ownership.trigger_should_cancel = always  # type: ignore[assignment]


def worker() -> None:
    """Nor is a worker's."""
    ownership.worker_should_cancel = always  # type: ignore[assignment]


def confirm() -> None:
    """An event is a hint: the waiter reads the job, and the task that resumes reads it once more."""
    asked, heard, read = waiter.Waiter.aget, waiter.Waiter.hear, job_run.JobRun.read

    def hear(self: Any, *, ends: bool) -> None:
        if ends:
            self._learned = JobStatus(self.ref, JobState.SUCCEEDED)
        heard(self, ends=ends)

    async def aget(self: Any, ref: JobRef) -> JobStatus:
        learned: JobStatus | None = self._learned
        return learned if learned and self._hinted else await asked(self, ref)

    def believed(self: Any, ref: JobRef, seen: str = "", said: str = "") -> JobStatus:
        return JobStatus(ref, JobState(seen)) if seen else read(self, ref, seen, said)

    waiter.Waiter.hear = hear  # type: ignore[method-assign]
    waiter.Waiter.aget = aget  # type: ignore[method-assign]
    job_run.JobRun.read = believed  # type: ignore[method-assign]


SAFEGUARDS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (look, sole, ended, trigger, worker, confirm)
}


def quicker(settle_s: float, reach_s: float) -> None:
    """Look for lost calls for less long: the emulator's lists lag by less than Google's may."""
    made = once.Launcher.__init__

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **{"settle_s": settle_s, "reach_s": reach_s, **kwargs})

    once.Launcher.__init__ = make  # type: ignore[method-assign]
