"""One run an attempt: what a retry, a clear and a lost answer find, against a running emulator."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused, PermissionRefused, QuotaExhausted, TransientApiError
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.once import Attempt, Intent, Launcher

CLOUD_RUN, BATCH = CloudRunBackend(Access()), BatchBackend(Access())
LOG = logging.getLogger(__name__)
FIRST = Attempt("dag", "run", "task", -1, 0)
CLEARED = replace(FIRST, clear_number=1)


class Store(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@dataclass
class Flaky:
    """A backend whose submit fails as told: before the call goes through, or after."""

    inner: JobBackend
    faults: list[str] = field(default_factory=list)

    def submit(self, request: RunRequest, known: Callable[[JobStatus], None]) -> JobRef:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "quota":
            raise QuotaExhausted("429")
        if fault == "before":
            raise TransientApiError("503")
        run = self.inner.submit(request, known)
        if fault == "after":
            raise TransientApiError("504, but it had gone through")
        return run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def request_for(emulator: Any) -> Callable[..., RunRequest]:
    def make(name: str, *args: str) -> RunRequest:
        spec = JobSpec.model_validate(
            {"name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
             "image": "repo/sample-job:1", "memory": "512Mi"}
        )  # fmt: skip
        CLOUD_RUN.ensure(spec)
        return RunRequest(ref(spec), "", args=args)

    return make


def launcher(
    store: Store, attempt: Attempt = FIRST, faults: list[str] | None = None, backend: JobBackend = CLOUD_RUN
) -> Launcher:
    flaky: Any = Flaky(backend, faults or [])
    return Launcher(flaky, store, attempt, 5, LOG, settle_s=0.3, reach_s=0.3, sleep=lambda _: None)


def nothing() -> None:
    """No definition to write."""


def test_a_second_try_attaches_to_the_run_that_is_still_going(request_for: Any, emulator: Any) -> None:
    store, request = Store(), request_for("attach", "sleep", "30")
    first = launcher(store).start(request, nothing)
    again = launcher(store).start(request, lambda: pytest.fail("an attach prepares nothing"))
    assert (first.attached, again.attached) == (False, True)
    assert again.ref == first.ref
    assert emulator.count("RunJob") == 1
    CLOUD_RUN.cancel(first.ref)


def test_a_try_that_died_before_it_learned_the_name_is_found_by_its_key(
    request_for: Any, emulator: Any
) -> None:
    store, request = Store(), request_for("by-key", "sleep", "30")
    first = launcher(store).start(request, nothing)
    replace(Intent.load(store), run="").save(store)  # type: ignore[type-var]
    again = launcher(store).start(request, nothing)
    assert (again.attached, again.ref) == (True, first.ref)
    CLOUD_RUN.cancel(first.ref)


def test_a_run_that_shows_up_after_the_last_look_for_it_is_attached_to(
    request_for: Any, emulator: Any
) -> None:
    """Its try was given up, but was not dead. Under another key ours would go on beside it, and both would complete."""
    store, request = Store(), request_for("late", "sleep", "30")
    ghost = launcher(store).start(request, nothing)
    replace(Intent.load(store), run="").save(store)  # type: ignore[type-var]

    class Late(Flaky):
        """Lists lag behind."""

        hides = 1

        def runs(self, *of: Any) -> Any:
            found = self.inner.runs(*of)
            self.hides -= 1
            return () if self.hides >= 0 else found

    again = launcher(store)
    again.backend, again.reach_s = Late(CLOUD_RUN), 0.0  # type: ignore[assignment]
    started = again.start(request, nothing)
    assert (started.ref, started.run_key, started.attached) == (ghost.ref, ghost.run_key, True)
    runs = CLOUD_RUN.list(ghost.ref)
    assert sorted(run.state for run in runs if run.ref != ghost.ref) == [JobState.CANCELLED]
    assert not CLOUD_RUN.get(ghost.ref).terminal
    CLOUD_RUN.cancel(ghost.ref)


def test_a_run_that_ended_well_while_nobody_looked_is_not_run_again(
    request_for: Any, emulator: Any, until: Callable[..., Any]
) -> None:
    store, request = Store(), request_for("finished", "ok")
    first = launcher(store).start(request, nothing)
    until(lambda: CLOUD_RUN.get(first.ref).state is JobState.SUCCEEDED)
    assert launcher(store).start(request, nothing).attached


def test_a_retry_after_a_failed_run_starts_another_under_another_key(
    request_for: Any, emulator: Any, until: Callable[..., Any]
) -> None:
    store, request = Store(), request_for("failed", "exit", "1")
    first = launcher(store).start(request, nothing)
    until(lambda: CLOUD_RUN.get(first.ref).terminal)
    again = launcher(store).start(request, nothing)
    assert not again.attached
    assert again.ref != first.ref
    assert again.run_key != first.run_key


def test_after_a_clear_the_old_run_is_ended_before_a_new_one_starts(request_for: Any, emulator: Any) -> None:
    store, request = Store(), request_for("cleared", "sleep", "60")
    first = launcher(store).start(request, nothing)
    fresh = launcher(store, CLEARED).start(request, nothing)
    assert not fresh.attached
    assert CLOUD_RUN.get(first.ref).state is JobState.CANCELLED
    CLOUD_RUN.cancel(fresh.ref)


def test_a_run_being_cancelled_is_never_attached_to(request_for: Any, emulator: Any) -> None:
    store, request = Store(), request_for("ending", "sleep", "60")
    first = launcher(store).start(request, nothing)
    CLOUD_RUN.cancel(first.ref)
    again = launcher(store).start(request, nothing)
    assert (again.attached, again.ref == first.ref) == (False, False)
    CLOUD_RUN.cancel(again.ref)


@pytest.mark.parametrize("faults", [["after"], ["before", "after"], ["before", "before"]])
def test_a_lost_answer_never_starts_a_second_run(request_for: Any, emulator: Any, faults: list[str]) -> None:
    request = request_for("lost-" + "-".join(faults), "ok")
    launcher(Store(), faults=faults).start(request, nothing)
    assert len(CLOUD_RUN.list(request.job)) == 1


def test_want_of_quota_is_waited_out_however_long_it_takes(request_for: Any, emulator: Any) -> None:
    mine, hours = launcher(Store(), faults=["quota"] * 5), iter(range(0, 10**6, 3600))
    mine.clock = lambda: float(next(hours))
    assert not mine.start(request_for("patient"), nothing).attached
    assert emulator.count("RunJob") == 1


def test_a_refusal_that_stays_is_not_asked_again(request_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(self: Any, request: RunRequest, known: Any) -> JobRef:
        asked.append(1)
        raise PermissionRefused("403")

    monkeypatch.setattr(Flaky, "submit", refuse)
    with pytest.raises(PermissionRefused):
        launcher(Store()).start(request_for("refused"), nothing)
    assert asked == [1]


def test_keys_differ_by_everything_that_makes_another_run() -> None:
    keys = {
        replace(FIRST, **{name: value}).run_key(generation)
        for generation in (0, 1)
        for name, value in [
            ("dag_id", "d2"),
            ("run_id", "r2"),
            ("task_id", "t2"),
            ("map_index", 3),
            ("clear_number", 2),
        ]
    }
    assert len(keys) == 10
    assert FIRST.run_key(0) == Attempt("dag", "run", "task", -1, 0).run_key(0)


class Late:
    """Cloud Run whose list shows a run only at the second look after its start."""

    def __init__(self) -> None:
        self.looked: dict[str, int] = {}

    def runs(self, job: JobRef, run_key: str, since: Any) -> list[JobStatus]:
        found = CLOUD_RUN.runs(job, run_key, since)
        for run in found:
            self.looked[run.ref.run] = self.looked.get(run.ref.run, 0) + 1
        return [run for run in found if self.looked[run.ref.run] > 1]

    def __getattr__(self, name: str) -> Any:
        return getattr(CLOUD_RUN, name)


@pytest.mark.parametrize("late", [False, True], ids=["list-at-once", "list-lags"])
def test_of_two_tries_that_start_at_once_the_older_run_stays_and_both_wait_for_it(
    request_for: Any, emulator: Any, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    request = request_for(f"twins-{late}".lower(), "sleep", "30")
    caplog.set_level(logging.INFO)
    backend: Any = Late() if late else CLOUD_RUN
    first = launcher(Store(), backend=backend).start(request, nothing)
    second = launcher(Store(), backend=backend).start(request, nothing)  # it cannot know of the first one
    assert (second.attached, second.ref) == (True, first.ref)
    states = [run.state for run in CLOUD_RUN.list(request.job)]
    assert sorted(states) == [JobState.CANCELLED, JobState.RUNNING]
    assert f"Attaching to execution {first.ref}, which another try had started before" in caplog.text
    CLOUD_RUN.cancel(first.ref)


def test_a_loser_that_died_before_it_cancelled_its_run_is_cleaned_up_by_the_next_try(
    request_for: Any, emulator: Any
) -> None:
    store, request = Store(), request_for("dead-loser", "sleep", "30")
    first = launcher(store).start(request, nothing)
    CLOUD_RUN.submit(replace(request, run_key=first.run_key))
    again = launcher(store).start(request, nothing)
    assert again.ref == first.ref
    assert sorted(run.state for run in CLOUD_RUN.list(request.job)) == [JobState.CANCELLED, JobState.RUNNING]
    CLOUD_RUN.cancel(first.ref)


def batch_request(name: str, text: str = "sleep 30") -> RunRequest:
    spec = JobSpec.model_validate(
        {"name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
         "image": "busybox", "command": ["sh", "-c", text], "memory": "512Mi"}
    )  # fmt: skip
    return RunRequest(JobRef("batch", spec.project, spec.region, name), "", spec=spec)


class Refusing(Store):
    """The store of a try that was given up, once its call is under way: it may read, not write."""

    writes = 1

    def set(self, key: str, value: Any) -> None:
        if not self.writes:
            raise RuntimeError("410: the try is over")
        self.writes -= 1
        super().set(key, value)


def test_a_try_that_was_given_up_cancels_its_late_run_though_it_may_not_write_any_more(
    request_for: Any, emulator: Any
) -> None:
    request = request_for("given-up", "sleep", "30")
    live = launcher(Store()).start(request, nothing)
    with pytest.raises(RuntimeError, match="410"):
        launcher(Refusing()).start(request, nothing)
    states = {run.ref: run.state for run in CLOUD_RUN.list(request.job)}
    assert states.pop(live.ref) is JobState.RUNNING
    assert list(states.values()) == [JobState.CANCELLED]
    CLOUD_RUN.cancel(live.ref)


def test_the_run_of_a_try_that_may_still_be_calling_is_waited_for(request_for: Any, emulator: Any) -> None:
    store, request, looks = Store(), request_for("still-calling", "ok"), list[float]()
    first = launcher(store).start(request, nothing)
    late = replace(Intent.load(store), run="")  # type: ignore[type-var]
    late.save(store)
    again = launcher(store)
    again.reach_s, found = 30, again.backend.runs
    hidden: Any = lambda *asked: found(*asked) if len(looks) >= 2 else ()  # noqa: E731
    again.backend.runs, again.sleep = hidden, looks.append  # type: ignore[method-assign]
    assert again.start(request, nothing).ref == first.ref
    assert len(looks) == 2


def test_a_batch_job_that_is_there_already_is_attached_to_and_the_log_says_so(
    emulator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = batch_request("there")
    first = launcher(Store(), backend=BATCH).start(
        replace(asked, labels={"airflow-try-number": "1"}), nothing
    )
    again = launcher(Store(), backend=BATCH).start(
        replace(asked, labels={"airflow-try-number": "2"}), nothing
    )
    assert (again.attached, again.ref) == (True, first.ref)
    assert f"Attaching to job {first.ref}" in caplog.text
    BATCH.cancel(first.ref)


def test_a_batch_job_of_another_spec_is_not_attached_to(emulator: Any) -> None:
    first = launcher(Store(), backend=BATCH).start(batch_request("respec"), nothing)
    other = replace(batch_request("respec", "sleep 31"), labels={"airflow-try-number": "2"})
    with pytest.raises(ConfigurationRefused, match=r"of another spec.*Clear the task"):
        launcher(Store(), backend=BATCH).start(other, nothing)
    assert not BATCH.get(first.ref).terminal
    BATCH.cancel(first.ref)


def test_a_batch_job_that_is_being_cancelled_is_not_attached_to_though_nobody_remembers_it(
    emulator: Any,
) -> None:
    asked = batch_request("remembered-by-none")
    first = launcher(Store(), backend=BATCH).start(asked, nothing)
    BATCH.cancel(first.ref)
    again = launcher(Store(), backend=BATCH).start(
        replace(asked, labels={"airflow-try-number": "2"}), nothing
    )
    assert (again.attached, again.ref == first.ref) == (False, False)
    assert BATCH.get(first.ref).state is JobState.CANCELLED
    BATCH.cancel(again.ref)
