"""A task that ends for good while its job goes on cancels it, whatever ended the task and wherever it waited."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from tests.gcp_jobs.small_airflow import SmallAirflow
from tests.gcp_jobs.tries import BACKENDS, OPERATORS, SPEC

from gcp_jobs.errors import NotFound
from gcp_jobs.model import JobRef, JobState

pytestmark = pytest.mark.airflow
READS = {
    "batch": "google.cloud.batch.v1.BatchService/GetJob",
    "cloud_run": "google.cloud.run.v2.Executions/GetExecution",
}
each_backend = pytest.mark.parametrize("backend", list(BACKENDS))
each_wait = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])


def arguments(name: str, **more: Any) -> dict[str, Any]:
    """For a task whose job runs for long."""
    return {
        "spec": {"name": name, "args": ["seconds=600"], **SPEC}, "polling_period_seconds": 1, "verbose": False,
        "project_id": "local-project", "region": "europe-west1", **more,
    }  # fmt: skip


def states(backend: str, name: str) -> list[JobState]:
    """Of all runs that there ever were."""
    with suppress(NotFound):
        found = BACKENDS[backend].list(JobRef(backend, "local-project", "europe-west1", name))
        return [run.state for run in found]
    return []


@each_backend
@each_wait
def test_past_its_execution_timeout(
    emulator: Any, run_operator: Callable[..., Any], backend: str, deferrable: bool
) -> None:
    name = f"timed-{backend}-{deferrable}".lower().replace("_", "-")
    limit = timedelta(seconds=6)
    options = arguments(name, deferrable=deferrable, execution_timeout=limit)
    ran = run_operator(OPERATORS[backend], name.replace("-", "_"), **options)
    assert (ran.state, states(backend, name)) == ("failed", [JobState.CANCELLED]), ran.log


@each_backend
@each_wait
def test_refused_what_it_needs_to_wait(
    emulator: Any,
    fault: Callable[..., None],
    run_operator: Callable[..., Any],
    backend: str,
    deferrable: bool,
) -> None:
    name = f"refused-{backend}-{deferrable}".lower().replace("_", "-")
    fault(kind="call", methods=[READS[backend]], code="PERMISSION_DENIED", times=1)
    options = arguments(name, deferrable=deferrable, retries=3)
    ran = run_operator(OPERATORS[backend], name.replace("-", "_"), **options)
    assert (ran.state, states(backend, name)) == ("failed", [JobState.CANCELLED]), ran.log


@each_backend
@pytest.mark.parametrize("retries", [0, 1])
def test_its_wait_given_up_by_airflow(
    emulator: Any, airflow_db: None, monkeypatch: pytest.MonkeyPatch, backend: str, retries: int
) -> None:
    """With a try left the job goes on: the next one attaches to it."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only-for-this-test-" * 4)
    name = f"given-up-{backend}-{retries}".replace("_", "-")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG(name, start_date=start, schedule=None, is_paused_upon_creation=False) as dag:
        OPERATORS[backend](
            task_id="job",
            **arguments(name, deferrable=True, retries=retries, retry_delay=timedelta(0)),
        )
    airflow = SmallAirflow(dag)
    airflow.start("given-up")
    assert airflow.give_up() == 1
    if retries:
        assert (airflow.give_up(), states(backend, name)) == (1, [JobState.RUNNING])
    assert airflow.give_up() == 0
    assert (airflow.states(), states(backend, name)) == ({"failed": 1}, [JobState.CANCELLED])
