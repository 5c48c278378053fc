"""A worker dies between any two steps of a start. Whatever the next try finds, one job does the work.

Judged by what the emulator has: the jobs and how they ended.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from tests.gcp_jobs.small_airflow import fire

from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.job_run import JobRun
from gcp_jobs.model import JobRef, JobState
from gcp_jobs.once import Intent, Launcher
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.job import JobOperator

SPECS: dict[str, dict[str, Any]] = {
    "cloud_run": {"image": "repo/sample-job:1", "memory": "512Mi"},
    "batch": {"image": "busybox", "memory": "512Mi", "command": ["sh", "-c"]},
}
ARGS = {"cloud_run": (["ok"], ["sleep", "30"]), "batch": (["exit 0"], ["sleep 30"])}
OPERATORS: dict[str, type[JobOperator]] = {"cloud_run": CloudRunJobOperator, "batch": BatchJobOperator}
BACKENDS = {"cloud_run": CloudRunBackend(Access()), "batch": BatchBackend(Access())}


class Died(BaseException):
    """SIGKILL: nothing of ours catches it."""


class Store(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


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


def context(store: Store, try_number: int, clear_number: int) -> Any:
    """What a task gets of Airflow, as far as an operator of ours looks."""
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=try_number, max_tries=1,
        xcom_push=lambda key, value: None,
    )  # fmt: skip
    return {
        "ti": ti,
        "dag_run": SimpleNamespace(clear_number=clear_number, run_type="manual"),
        "task_state_store": store,
    }


def one_try(backend: str, name: str, deferrable: bool, long: bool, said: Any) -> Any:
    """A whole try: its worker, its trigger, and the worker that resumes."""

    def worker() -> Any:
        return OPERATORS[backend](
            task_id="t", spec={"name": name, **SPECS[backend]}, deferrable=deferrable, verbose=False,
            args=ARGS[backend][long],
            polling_period_seconds=1, project_id="local-project", region="europe-west1",
        )  # fmt: skip

    try:
        return worker().execute(said)
    except TaskDeferred as deferral:
        path, kwargs = deferral.trigger.serialize()
    event = fire([import_string(path)(**kwargs)])[0]
    return worker().execute_complete(said, event.payload)


@pytest.mark.parametrize(
    ("again", "deferrable"),
    [("retry", True), ("retry", False), ("clear", False)],  # what a start finds does not depend on who waits
    ids=["retry-deferred", "retry-sync", "clear"],
)
@pytest.mark.parametrize("backend", list(SPECS))
@pytest.mark.parametrize("point", list(POINTS))
def test_whenever_a_worker_dies_one_job_does_the_work(
    emulator: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    backend: str,
    deferrable: bool,
    again: str,
) -> None:
    monkeypatch.setattr("gcp_jobs.job_run.Launcher", partial(Launcher, settle_s=0.3))
    name, store = f"{point}-{again[0]}-{'d' if deferrable else 's'}", Store()
    with dying_at(point, backend):
        one_try(backend, name, deferrable, again == "clear", context(store, 1, 0))
    result = one_try(backend, name, deferrable, False, context(store, 2, int(again == "clear")))
    jobs = BACKENDS[backend].list(JobRef(backend, "local-project", "europe-west1", name))
    ends = sorted(job.state for job in jobs)
    assert result["state"] == JobState.SUCCEEDED
    if again == "retry":
        assert ends == [JobState.SUCCEEDED]
    else:
        assert ends in ([JobState.SUCCEEDED], [JobState.CANCELLED, JobState.SUCCEEDED])
        assert (len(ends) == 2) == (point not in ("before-the-intent", "after-the-intent", "before-the-call"))
