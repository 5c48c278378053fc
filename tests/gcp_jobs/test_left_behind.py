"""The failure callback in the dag-processor: it cancels a dead worker's job, and only that (for real: make hazards)."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, XComResult
from tests.gcp_jobs.tries import BACKENDS, SPEC

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.ledger.connection import ledger
from gcp_jobs.ledger.record import Run
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.left_behind import cancel_left_behind

OPERATORS: dict[str, Any] = {"batch": BatchJobOperator, "cloud_run": CloudRunJobOperator}
VALUES = {"project": "local-project", "region": "europe-west1", "environment": "local"}
each_backend = pytest.mark.parametrize("backend", list(BACKENDS))
Airflow = Callable[[str | None, str], None]


@pytest.fixture
def airflow(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """What Airflow answers: the owner in XCom, the task's state."""

    def says(owner: str | None, state: str) -> None:
        def answer(message: Any) -> Any:
            if isinstance(message, GetTaskStates):
                return SimpleNamespace(task_states={"r": {"t": state}})
            return XComResult(key=message.key, value=owner)

        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=answer), raising=False)

    return says


def job(backend: str, name: str, key: str = "k") -> JobRef:
    """A job that runs for long."""
    spec = JobSpec.model_validate({"name": name, **VALUES, **SPEC, "args": ["seconds=100"]})
    BACKENDS[backend].ensure(spec)
    where = JobRef(backend, spec.project, spec.region, name)
    return BACKENDS[backend].submit(RunRequest(where, run_key=f"{key}-{name}", spec=spec))


def context(backend: str, **options: Any) -> Any:
    """What the dag-processor gives: the task as its DAG file has it, and which instance failed."""
    task = OPERATORS[backend](task_id="t", spec={"name": "{{ params.unrendered }}"}, **options)
    states = lambda **asked: task_runner.SUPERVISOR_COMMS.send(GetTaskStates(**asked)).task_states  # noqa: E731
    ti = SimpleNamespace(
        dag_id="left", run_id="r", task_id="t", map_index=-1, task=task, get_task_states=states
    )
    return {"ti": ti}


def over(backend: str, ref: JobRef) -> bool:
    status = BACKENDS[backend].get(ref)
    return status.terminal or status.state.value.endswith("IN_PROGRESS")


@each_backend
def test_the_job_that_xcom_names_is_cancelled_when_its_task_is_failed(backend: str, airflow: Airflow) -> None:
    ref = job(backend, "named")
    airflow(ref.name, "running")
    cancel_left_behind(context(backend))
    assert not over(backend, ref), "cleared meanwhile: another try has it"
    airflow(ref.name, "failed")
    cancel_left_behind(context(backend, cancel_on_kill=False))
    assert not over(backend, ref), "it may outlive its task"
    cancel_left_behind(context(backend))
    assert over(backend, ref)
    cancel_left_behind(context(backend))  # once more does no harm


def test_of_a_worker_that_died_before_its_xcom_the_ledger_knows(airflow: Airflow) -> None:
    """Between Google's answer and the XCom there are some milliseconds: the intent was in the ledger before."""
    ref, kept = job("batch", "unnamed"), ledger()
    assert kept
    of = {
        "entry": "left-behind",
        "dag_id": "left",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "try_number": 1,
    }
    place = {"backend": "batch", "project": ref.project, "region": ref.region, "job": ref.job}
    kept.write([Run(**of, **place, run_key="k-unnamed", created_at=datetime.now(UTC))])
    airflow(None, "failed")
    cancel_left_behind(context("batch"))
    assert over("batch", ref)


def test_a_users_own_callbacks_stay_and_come_first() -> None:
    def mine(_: Any) -> None:
        """Tell somebody."""

    task = BatchJobOperator(task_id="t", on_failure_callback=mine)
    assert list(task.on_failure_callback) == [mine, cancel_left_behind]


@each_backend
def test_a_mapped_tasks_job_is_cancelled_by_its_own_arguments(backend: str, airflow: Airflow) -> None:
    """The dag-processor has the mapped operator only: nobody has expanded it there."""
    kept, lost = job(backend, "kept"), job(backend, "lost")
    with DAG(f"mapped_{backend}"):
        task = OPERATORS[backend].partial(task_id="t").expand(cancel_on_kill=[False, True])
    for index, ref in enumerate((kept, lost)):
        airflow(ref.name, "failed")
        said = context(backend)
        said["ti"].task, said["ti"].map_index = task, index
        (callback,) = task.on_failure_callback
        callback(said)
    assert (over(backend, kept), over(backend, lost)) == (False, True)


def test_a_mapped_task_has_a_users_own_callbacks_and_ours_once() -> None:
    def mine(_: Any) -> None:
        """Tell somebody."""

    with DAG("mapped_with_callback", default_args={"on_failure_callback": mine}):
        mapped = BatchJobOperator.partial(task_id="t").expand(job_name=["a"])
    expanded = mapped.unmap({"job_name": "a"})
    assert (
        list(mapped.on_failure_callback) == list(expanded.on_failure_callback) == [mine, cancel_left_behind]
    )


def test_where_airflow_does_not_answer_nothing_is_raised(airflow: Airflow) -> None:
    airflow(None, "failed")
    said = context("batch")
    said["ti"].get_task_states = lambda **_: 1 / 0
    cancel_left_behind(said)


def test_a_process_that_has_had_the_try_leaves_it_to_the_operator(airflow: Airflow) -> None:
    ref = job("batch", "in-hand")
    airflow(ref.name, "failed")
    said = context("batch")
    said["ti"].task._journal = object()
    cancel_left_behind(said)
    assert not over("batch", ref)
