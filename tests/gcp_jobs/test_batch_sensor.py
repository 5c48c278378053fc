"""BatchJobSensor: waits for jobs of others by name, uid and labels, for all, any or some of them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string
from tests.gcp_jobs.hub.world import World

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access
from gcp_jobs.job_set import Want
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.sensors.batch import BatchJobSensor
from gcp_jobs.triggers.job_set import JobSetTrigger

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "poked"])
BACKEND = BatchBackend(Access())


def submit(name: str, script: str, **labels: str) -> JobRef:
    values = {
        "name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
        "image": "busybox", "command": ["sh", "-c", script], "memory": "512Mi",
    }  # fmt: skip
    ref = JobRef("batch", "local-project", "europe-west1", name)
    spec = JobSpec.model_validate(values)
    return BACKEND.submit(RunRequest(ref, run_key="0" * 32, spec=spec, labels=labels, exact=True))


@pytest.fixture
def later() -> Iterator[Callable[..., None]]:
    """Call something in a while, beside the test."""
    timers = []

    def start(seconds: float, what: Callable[[], Any]) -> None:
        timers.append(threading.Timer(seconds, what))
        timers[-1].start()

    yield start
    for timer in timers:
        timer.join()


def status(state: str) -> JobStatus:
    return JobStatus(JobRef("batch", "p", "r", state.lower()), JobState(state))


@pytest.mark.parametrize(
    ("need", "states", "over"),
    [
        ("all", ["SUCCEEDED", "RUNNING"], None),
        ("all", ["SUCCEEDED", "SUCCEEDED"], True),
        ("all", ["FAILED", "RUNNING"], False),
        ("any", ["FAILED", "RUNNING"], None),
        ("any", ["SUCCEEDED", "RUNNING"], True),
        ("any", ["FAILED", "CANCELLED"], False),
        (2, ["SUCCEEDED", "RUNNING", "FAILED"], None),
        (2, ["SUCCEEDED", "SUCCEEDED", "RUNNING"], True),
        (2, ["SUCCEEDED", "FAILED", "FAILED"], False),
    ],
)
def test_a_wait_is_over_when_enough_have_ended_or_cannot(
    need: str | int, states: list[str], over: bool
) -> None:
    assert Want(need).over([status(state) for state in states]) is over


def test_a_set_that_is_not_complete_yet_is_waited_for() -> None:
    assert Want("all", at_least=2).over([status("SUCCEEDED")]) is None
    assert Want("all", at_least=0).over([]) is True


@both
def test_a_job_by_name_that_comes_later(
    emulator: Any, run_operator: Run, later: Callable[..., None], deferrable: bool
) -> None:
    name = f"later-{deferrable}".lower()
    later(1.0, lambda: submit(name, "sleep 1"))
    ran = run_operator(
        BatchJobSensor,
        f"sensor_{name.replace('-', '_')}",
        job_names=name,
        poke_interval=1,
        deferrable=deferrable,
    )
    assert ran.state == "success", ran.log
    assert ran.result["states"] == {"SUCCEEDED": 1}
    assert list(ran.result["jobs"]) == [f"projects/local-project/locations/europe-west1/jobs/{name}"]


@both
def test_all_jobs_with_a_label_and_by_uid(emulator: Any, run_operator: Run, deferrable: bool) -> None:
    team = f"team-{deferrable}".lower()
    for n in range(3):
        submit(f"{team}-{n}", f"sleep {n}", team=team)
    by_uid = submit(f"{team}-alone", "sleep 1")
    ran = run_operator(
        BatchJobSensor, f"sensor_label_{deferrable}", labels={"team": team}, job_uids=[by_uid.uid], at_least=3,
        poke_interval=1, deferrable=deferrable,
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert ran.result["states"] == {"SUCCEEDED": 4}


@both
def test_one_failure_ends_a_wait_for_all_and_names_the_job(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    stem = f"bad-{deferrable}".lower()
    submit(f"{stem}-slow", "sleep 60")
    submit(f"{stem}-fails", "exit 3")
    ran = run_operator(
        BatchJobSensor, f"sensor_{stem.replace('-', '_')}", job_names=[f"{stem}-slow", f"{stem}-fails"],
        poke_interval=1, deferrable=deferrable,
    )  # fmt: skip
    assert ran.state == "failed"
    assert f"all of 2 jobs had to end as SUCCEEDED, but {stem}-fails FAILED" in ran.log
    BACKEND.cancel(JobRef("batch", "local-project", "europe-west1", f"{stem}-slow"))


def test_any_of_a_set_is_enough(emulator: Any, run_operator: Run) -> None:
    slow = submit("any-slow", "sleep 60")
    submit("any-fails", "exit 3")
    submit("any-quick", "sleep 1")
    ran = run_operator(
        BatchJobSensor,
        "sensor_any",
        job_names=["any-slow", "any-fails", "any-quick"],
        need="any",
        poke_interval=1,
    )
    assert ran.state == "success", ran.log
    BACKEND.cancel(slow)


@both
def test_want_of_quota_ends_no_wait(emulator: Any, run_operator: Run, deferrable: bool) -> None:
    world, stem = World(emulator, ""), f"scarce-{deferrable}".lower()
    names = [f"{stem}-{n}" for n in range(3)]
    for name in names:
        submit(name, "sleep 1")
    for nth in ([1], [6, 7, 8]):  # the first look, and those at the jobs' ends
        world.fault("call", code="RESOURCE_EXHAUSTED", methods=["*/GetJob", "*/ListJobs"], nth=nth)
    try:
        ran = run_operator(
            BatchJobSensor, f"sensor_{stem.replace('-', '_')}", job_names=names, poke_interval=1, deferrable=deferrable
        )  # fmt: skip
    finally:
        world.heal()
    assert ran.state == "success", ran.log
    assert ran.result["states"] == {"SUCCEEDED": 3}


def test_past_its_timeout_it_says_so_and_the_job_runs_on(emulator: Any, run_operator: Run) -> None:
    slow = submit("sensor-slow", "sleep 60")
    ran = run_operator(BatchJobSensor, "sensor_timeout", job_names="sensor-slow", timeout=3, poke_interval=1)
    assert ran.state == "failed"
    assert "the jobs did not end within 3 s" in ran.log
    assert not BACKEND.get(slow).terminal
    BACKEND.cancel(slow)


def test_its_trigger_survives_the_way_through_the_database() -> None:
    jobs = {"project": "p", "region": "r", "names": ["a"], "uids": [], "text": ""}
    trigger = JobSetTrigger(jobs, Want(2).to_dict(), Access().to_dict(), 12.5)
    path, kwargs = trigger.serialize()
    assert import_string(path)(**kwargs).serialize() == (path, kwargs)
