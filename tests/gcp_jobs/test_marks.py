"""What a user marked is looked after in the API server, by Airflow's own tables (for real: make hazards, "nobody")."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from tests.gcp_jobs.tries import BACKENDS, SPEC

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.listener import COMMIT_S, Listener
from gcp_jobs.marks import Mark, look_after
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.ownership import OWNER

PLACE = {"project": "local-project", "region": "europe-west1", "environment": "local"}
RENDERED = {"gcp_conn_id": "google_cloud_default", "impersonation_chain": None, "transport": None}
Marked = Callable[..., Mark]
each_backend = pytest.mark.parametrize("backend", list(BACKENDS))


@pytest.fixture
def database() -> Any:
    """Airflow's tables, in this test process' own database."""
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.utils.session import create_session

    import_all_models()
    Base.metadata.create_all(settings.get_engine())
    return create_session


@pytest.fixture
def marked(database: Any, emulator: Any) -> Marked:
    """A task that has run a job, and that a user has marked since: gives what the listener notes of it."""
    from airflow.models.dagrun import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel

    def made(
        owner: str, state: str, *, dag: str = "", run_state: str = "running", rendered: Any = None
    ) -> Mark:
        of = {"dag_id": dag or f"d-{uuid4()}", "run_id": "r"}
        task, try_id = {**of, "task_id": "t", "map_index": -1}, uuid4()
        with database() as session:
            run = insert(DagRun.__table__).values(
                **of, run_type="manual", state=run_state, run_after=datetime.now(UTC)
            )
            number = session.execute(run).inserted_primary_key[0]
            session.execute(
                insert(TaskInstance.__table__).values(**task, id=try_id, state=state, pool="default_pool")
            )
            session.execute(
                insert(XComModel.__table__).values(**task, dag_run_id=number, key=OWNER, value=owner)
            )
            fields = RENDERED | (rendered or {})
            session.execute(
                insert(RenderedTaskInstanceFields.__table__).values(**task, rendered_fields=fields)
            )
        return Mark(**task, try_id=try_id)

    return made


def job(backend: str, dag: str, **env: str) -> JobRef:
    """A job that runs for long, made by task `t` of DAG run `r`."""
    name = f"marked-{uuid4().hex[:8]}"
    spec = JobSpec.model_validate({"name": name, **PLACE, **SPEC, "args": ["seconds=100"]})
    BACKENDS[backend].ensure(spec)
    who = {"DAG_ID": dag, "RUN_ID": "r", "TASK_ID": "t", "MAP_INDEX": "-1"}
    env = {f"GCP_JOBS_{key}": value for key, value in who.items()} | env
    where = JobRef(backend, spec.project, spec.region, name)
    return BACKENDS[backend].submit(RunRequest(where, run_key=name, spec=spec, env=env))


def over(ref: JobRef) -> bool:
    status = BACKENDS[ref.backend].get(ref)
    return status.terminal or status.state.value.endswith("IN_PROGRESS")


@each_backend
def test_the_job_of_a_marked_task_is_cancelled(backend: str, marked: Marked) -> None:
    ref = job(backend, f"ended-{backend}")
    assert look_after(marked(ref.name, "failed", dag=f"ended-{backend}"))
    assert over(ref)


@each_backend
def test_what_is_not_the_tasks_own_or_was_to_outlive_it_goes_on(backend: str, marked: Marked) -> None:
    """XComs can be written by whoever may use the REST API: the run itself says whose it is."""
    others, kept = job(backend, "another"), job(backend, f"kept-{backend}", GCP_JOBS_KEEP="true")
    assert look_after(marked(others.name, "failed"))
    assert look_after(marked(kept.name, "success", dag=f"kept-{backend}"))
    assert not over(others)
    assert not over(kept)


def test_a_mark_that_is_not_committed_yet_is_looked_after_later(marked: Marked) -> None:
    ref = job("batch", "pending")
    assert not look_after(marked(ref.name, "running", dag="pending"))
    assert not over(ref)


def test_a_task_that_was_cleared_meanwhile_is_left_to_its_next_try(marked: Marked) -> None:
    ref = job("batch", "cleared")
    mark = marked(ref.name, "failed", dag="cleared")
    assert look_after(Mark(mark.dag_id, mark.run_id, mark.task_id, mark.map_index, UUID(int=1)))
    assert not over(ref)


@pytest.mark.parametrize(("task", "ends"), [("skipped", True), ("success", False)])
def test_of_a_marked_dag_run_what_waited_for_its_next_try_is_cancelled(
    task: str, ends: bool, marked: Marked
) -> None:
    """Airflow skips such tasks; those that had finished before keep what they left."""
    ref = job("batch", f"run-{task}")
    mark = marked(ref.name, task, dag=f"run-{task}", run_state="failed")
    assert look_after(Mark(mark.dag_id, mark.run_id))
    assert over(ref) is ends


def test_a_dag_run_whose_mark_is_not_committed_yet_is_looked_after_later(marked: Marked) -> None:
    ref = job("batch", "run-pending")
    mark = marked(ref.name, "skipped", dag="run-pending")
    assert not look_after(Mark(mark.dag_id, mark.run_id))
    assert not over(ref)


def test_google_is_asked_as_the_task_itself_asked(
    marked: Marked, emulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHERS", "google-cloud-platform://")
    ref = job("batch", "as-other")
    emulator.reset()
    how = {"gcp_conn_id": "others", "impersonation_chain": "runner@test"}
    assert look_after(marked(ref.name, "failed", dag="as-other", rendered=how))
    assert over(ref)
    assert emulator.calls()["CancelJob", "runner@test"] == 1


def test_what_google_refuses_for_now_is_tried_again(marked: Marked, fault: Callable[..., None]) -> None:
    ref = job("batch", "busy")
    mark = marked(ref.name, "failed", dag="busy")
    fault(kind="call", methods=["*/CancelJob"], code="UNAVAILABLE", times=1)
    assert not look_after(mark)
    assert look_after(mark)
    assert over(ref)


def test_what_google_refuses_for_good_is_said_and_left(
    marked: Marked, fault: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    ref = job("batch", "refused")
    fault(kind="call", methods=["*/CancelJob"], code="PERMISSION_DENIED", times=1)
    assert look_after(marked(ref.name, "failed", dag="refused"))
    assert not over(ref)
    assert "refused / r / t is left to DAG reconcile" in caplog.text


def test_the_listener_hears_of_users_marks_only(marked: Marked, until: Callable[..., Any]) -> None:
    """Of a worker's own end it is called too, in the worker."""
    heard, unheard = job("batch", "heard"), job("batch", "unheard")
    mine, other = (
        marked(ref.name, "failed", dag=dag) for ref, dag in ((heard, "heard"), (unheard, "unheard"))
    )
    listener = Listener()
    listener.on_task_instance_failed(previous_state="running", task_instance=_as_airflow_gives(other))
    listener.on_dag_run_failed(dag_run=_as_airflow_gives(other), msg="task_failure")
    listener.on_task_instance_failed(previous_state=None, task_instance=_as_airflow_gives(mine))
    until(lambda: over(heard))
    time.sleep(COMMIT_S * 3)
    assert not over(unheard)
    listener.on_task_instance_success(previous_state=None, task_instance=_as_airflow_gives(other))
    until(lambda: over(unheard))  # its thread had ended by then, and begins again


def _as_airflow_gives(mark: Mark) -> Any:
    return SimpleNamespace(
        dag_id=mark.dag_id, run_id=mark.run_id, task_id=mark.task_id, map_index=mark.map_index, id=mark.try_id
    )
