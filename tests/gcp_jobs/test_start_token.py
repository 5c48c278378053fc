"""Starts by Cloud Run's token, where the task writes the definition: Google itself starts no second execution."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.gcp_jobs.test_crash_points import POINTS, dying_at
from tests.gcp_jobs.tries import Store, context

from gcp_jobs import clients
from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.census import cloud_run_page
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref, to_tokened_job
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.model import JobRef, JobSpec, JobState
from gcp_jobs.once import Attempt, Launcher
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

BACKEND = CloudRunBackend(Access())
LOG = logging.getLogger(__name__)


def spec(name: str, **changes: Any) -> JobSpec:
    base = {
        "name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
        "image": "gcp-emulator/pretend", "args": ["seconds=0.1"],
    }  # fmt: skip
    return JobSpec.model_validate(base | changes)


def request(job: JobSpec, *args: str, **fields: Any) -> RunRequest:
    return RunRequest(
        ref(job), fields.pop("run_key", "a" * 32), args=args or None, spec=job, by_token=True, **fields
    )


def launcher(store: Store, attempt: Attempt) -> Launcher:
    return Launcher(BACKEND, store, attempt, 5, LOG, settle_s=0.3, reach_s=0.3)


def attempt(run: str) -> Attempt:
    return Attempt("dag", run, "task", -1, 0)


def executions(job: JobSpec) -> dict[str, str]:
    return {status.ref.run: status.state for status in BACKEND.list(ref(job))}


def test_what_a_run_changes_is_in_the_definition_that_starts_it() -> None:
    job = spec("all-in", env={"A": "1", "B": "2"}, secrets={"S": "s:1"}, task_count=3)
    changes = {
        "container_overrides": [{"env": [{"name": "C", "value": "3"}]}],
        "task_count": 2,
        "timeout": {"seconds": 7},
    }
    made = to_tokened_job(job, request(job, "x", env={"B": "own", "S": "plain"}, overrides=changes))
    main = made.template.template.containers[0]
    values = {each.name: each.value for each in main.env}
    ours = {"GCP_JOBS_RUN_KEY": "a" * 32, "GCP_JOBS_START_TOKEN": "a" * 12}
    assert values == {"A": "1", "B": "own", "C": "3", "S": "plain", **ours}
    assert (list(main.args), made.template.task_count) == (["x"], 2)
    assert made.template.template.timeout.total_seconds() == 7
    assert made.start_execution_token == "a" * 12


def test_without_changes_the_definitions_own_values_stay() -> None:
    job = spec("as-is", task_count=3)
    made = to_tokened_job(job, request(job))
    assert list(made.template.template.containers[0].args) == ["seconds=0.1"]
    assert made.template.task_count == 3
    assert made.template.template.timeout.total_seconds() == job.timeout


def test_a_container_that_is_not_there_is_named() -> None:
    job = spec("which")
    wrong = {"container_overrides": [{"name": "else", "args": ["x"]}]}
    with pytest.raises(ConfigurationRefused, match=r"no container is named 'else'.*Name one of them.*''"):
        to_tokened_job(job, request(job, overrides=wrong))


def test_the_longest_name_leaves_room_for_the_token(emulator: Any) -> None:
    job = spec("j" * 49)
    assert BACKEND.submit(request(job)).run == "j" * 49 + "-" + "a" * 12


def test_two_tries_at_once_get_the_same_run(emulator: Any) -> None:
    """Without a token the second one would start a run, and one of the two would be cancelled."""
    job = spec("twins")
    ours = [launcher(Store(), attempt("r")) for _ in range(4)]  # none knows of the others
    with ThreadPoolExecutor(len(ours)) as pool:
        found = list(pool.map(lambda one: one.start(request(job, "seconds=5"), lambda: None), ours))
    assert len({started.ref for started in found}) == 1
    assert list(executions(job)) == [found[0].ref.run]
    BACKEND.cancel(found[0].ref)


def test_runs_that_write_one_definition_at_once_each_get_their_own(emulator: Any) -> None:
    job, runs = spec("shared"), [f"r{n}" for n in range(6)]

    def start(run: str) -> tuple[str, str]:
        mine = request(job, "seconds=0.1", env={"WHOSE": run})
        return run, launcher(Store(), attempt(run)).start(mine, lambda: None).ref.run

    with ThreadPoolExecutor(len(runs)) as pool:
        found = dict(pool.map(start, runs))
    assert len(set(found.values())) == len(runs)
    assert set(executions(job)) == set(found.values())
    for run, name in found.items():
        started = replace(ref(job), run=name)
        execution = clients.client("Executions", Access()).get_execution(name=started.name)
        kept = {each.name: each.value for each in execution.template.containers[0].env}
        assert kept["WHOSE"] == run


def test_a_run_that_a_person_starts_from_what_was_left_is_not_taken_for_ours(emulator: Any) -> None:
    job = spec("by-hand")
    started = launcher(store := Store(), attempt("r")).start(request(job, "seconds=20"), lambda: None)
    jobs = clients.client("Jobs", Access())
    by_hand = JobRef.parse(  # the definition still holds our key
        jobs.run_job(name=ref(job).parent).metadata.name
    )
    again = launcher(store, attempt("r")).start(request(job, "seconds=20"), lambda: None)
    assert (again.ref, again.attached) == (started.ref, True)
    assert executions(job)[by_hand.run] != JobState.CANCELLED
    page, _ = cloud_run_page(
        Access(), "local-project", "europe-west1", "", datetime.now(UTC) - timedelta(hours=1)
    )
    assert by_hand not in [each.status.ref for each in page]  # `reconcile` leaves it alone
    assert started.ref in [each.status.ref for each in page]
    for each in (started.ref, by_hand):
        BACKEND.cancel(each)


def test_a_name_that_anothers_key_made_is_refused(emulator: Any) -> None:
    job = spec("collision")
    BACKEND.submit(request(job, run_key="b" * 12 + "1" * 20))
    with pytest.raises(ConfigurationRefused, match="another run bears the name"):
        BACKEND.submit(request(job, run_key="b" * 12 + "2" * 20))


def operator(name: str, **arguments: Any) -> CloudRunJobOperator:
    return CloudRunJobOperator(
        task_id="t", spec={"name": name, "image": "gcp-emulator/pretend"}, verbose=False, polling_period_seconds=1,
        project_id="local-project", region="europe-west1", deferrable=False, start_token=True, **arguments,
    )  # fmt: skip


def test_who_may_not_write_the_definition_is_told_so(emulator: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"start_token=True writes.*manage_job=True"):
        operator("no-writer", manage_job=False).execute(context(Store(), 1, 0))
    assert emulator.count("UpdateJob") == emulator.count("RunJob") == 0


def test_a_start_costs_one_write_and_no_other_definition_is_written(emulator: Any) -> None:
    for run in ("r1", "r2"):
        said = context(Store(), 1, 0)
        said["ti"].run_id = run
        operator("one-write", args=[f"say={run}"]).execute(said)
    assert (emulator.count("UpdateJob"), emulator.count("CreateJob"), emulator.count("RunJob")) == (2, 0, 0)


CLEARED = ("before-the-call", "before-its-answer", "after-xcom")


@pytest.mark.parametrize(
    ("point", "again"), [*((point, "retry") for point in POINTS), *((point, "clear") for point in CLEARED)]
)
def test_whenever_a_worker_dies_one_run_does_the_work(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, point: str, again: str
) -> None:
    monkeypatch.setattr("gcp_jobs.job_run.Launcher", partial(Launcher, settle_s=0.3, reach_s=0.3))
    name, store = f"token-{point}-{again[0]}", Store()
    seconds = 0.1 if again == "retry" else 30
    with dying_at(point, "cloud_run"):
        operator(name, args=[f"seconds={seconds}"]).execute(context(store, 1, 0))
    said = context(store, 2, int(again == "clear"))
    result = operator(name, args=["seconds=0.1"]).execute(said)
    ends = sorted(executions(spec(name)).values())
    assert result["state"] == JobState.SUCCEEDED
    if again == "retry":
        assert ends == [JobState.SUCCEEDED]
    else:
        assert ends in ([JobState.SUCCEEDED], [JobState.CANCELLED, JobState.SUCCEEDED])


def test_a_cancelled_run_that_no_list_showed_is_not_attached_to(
    emulator: Any, until: Callable[..., Any]
) -> None:
    job, mine = spec("stopped"), attempt("r")
    first = launcher(Store(), mine).start(request(job, "seconds=30"), lambda: None)
    BACKEND.cancel(first.ref)
    until(lambda: BACKEND.get(first.ref).terminal)
    launcher(Store(), attempt("other")).start(
        request(job), lambda: None
    )  # takes the token's place in the job
    again = launcher(Store(), mine).start(request(job), lambda: None)
    assert (again.attached, again.ref == first.ref) == (False, False)


def test_a_failed_run_that_no_list_showed_is_this_trys_own_and_not_run_again(
    emulator: Any, until: Callable[..., Any]
) -> None:
    job, mine = spec("failed"), attempt("r")
    first = launcher(Store(), mine).start(request(job, "exit=1"), lambda: None)
    until(lambda: BACKEND.get(first.ref).terminal)
    launcher(Store(), attempt("other")).start(request(job), lambda: None)
    assert launcher(Store(), mine).start(request(job), lambda: None).ref == first.ref


def test_an_update_that_came_between_is_asked_for_again(
    emulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google may drop a start whose definition was written over at once; the emulator aborts it."""
    job, sent = spec("between"), []
    jobs = type(BACKEND)._jobs

    class Overtaken:
        def __init__(self) -> None:
            self.real = jobs(BACKEND)

        def update_job(self, update: Any, timeout: float) -> Any:
            sent.append(update)
            if len(sent) == 1:  # it goes through, and nothing comes of it
                return SimpleNamespace(result=lambda timeout: None)
            return self.real.update_job(update, timeout=timeout)

    monkeypatch.setattr(CloudRunBackend, "_jobs", lambda _: Overtaken())
    started = launcher(Store(), attempt("r")).start(request(job), lambda: None)
    assert list(executions(job)) == [started.ref.run]
    assert len(sent) == 2
