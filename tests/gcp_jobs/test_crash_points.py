"""A worker dies between any two steps of a start. Whatever the next try finds, one job does the work.

Judged by what the emulator has: the jobs and how they ended.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from tests.gcp_jobs.tries import BACKENDS, Store, context, one_try

from gcp_jobs.job_run import JobRun
from gcp_jobs.model import JobRef, JobState
from gcp_jobs.once import Intent, Launcher
from gcp_jobs.operators.job import JobOperator


class Died(BaseException):
    """SIGKILL: nothing of ours catches it."""


def before(nth: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, but instead of its n-th time the process dies."""
    times: list[int] = []

    def dies(*args: Any, **kwargs: Any) -> Any:
        times.append(1)
        if len(times) == nth:
            raise Died
        return call(*args, **kwargs)

    return dies


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, and the process dies before anybody hears of its answer."""

    def dies(*args: Any, **kwargs: Any) -> Any:
        call(*args, **kwargs)
        raise Died

    return dies


POINTS: dict[str, Callable[[str], list[tuple[Any, str, Callable[..., Any]]]]] = {
    "before-the-intent": lambda _: [(Intent, "save", partial(before, 1))],
    "after-the-intent": lambda _: [(Intent, "save", after)],
    "before-the-call": lambda name: [(type(BACKENDS[name]), "submit", partial(before, 1))],
    "before-its-answer": lambda name: [(type(BACKENDS[name]), "submit", after)],
    "before-the-answer-is-saved": lambda _: [(Intent, "save", partial(before, 2))],
    "after-it-is-saved": lambda _: [(JobOperator, "_own", partial(before, 1))],
    "after-xcom": lambda _: [(JobOperator, "_own", after)],
    "before-the-wait": lambda _: [
        (JobOperator, "_defer", partial(before, 1)),
        (JobRun, "wait", partial(before, 1)),
    ],
}


@contextmanager
def dying_at(point: str, backend: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for where, name, how in POINTS[point](backend):
            patch.setattr(where, name, how(getattr(where, name)))
        with pytest.raises(Died):
            yield


@pytest.mark.parametrize(
    ("again", "deferrable"),
    [("retry", True), ("retry", False), ("clear", False)],  # what a start finds does not depend on who waits
    ids=["retry-deferred", "retry-sync", "clear"],
)
@pytest.mark.parametrize("backend", list(BACKENDS))
@pytest.mark.parametrize("point", list(POINTS))
def test_whenever_a_worker_dies_one_job_does_the_work(
    emulator: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    backend: str,
    deferrable: bool,
    again: str,
) -> None:
    monkeypatch.setattr("gcp_jobs.job_run.Launcher", partial(Launcher, settle_s=0.3, reach_s=0.3))
    name, store = f"{point}-{again[0]}-{'d' if deferrable else 's'}", Store()
    with dying_at(point, backend):
        one_try(context(store, 1, 0), backend, name, deferrable, 0.1 if again == "retry" else 30)
    result = one_try(context(store, 2, int(again == "clear")), backend, name, deferrable)
    jobs = BACKENDS[backend].list(JobRef(backend, "local-project", "europe-west1", name))
    ends = sorted(job.state for job in jobs)
    assert result["state"] == JobState.SUCCEEDED
    if again == "retry":
        assert ends == [JobState.SUCCEEDED]
    else:
        assert ends in ([JobState.SUCCEEDED], [JobState.CANCELLED, JobState.SUCCEEDED])
        assert (len(ends) == 2) == (point not in ("before-the-intent", "after-the-intent", "before-the-call"))
