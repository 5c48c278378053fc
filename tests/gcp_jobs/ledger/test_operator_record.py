"""A task's own record: what `airflow dags test` leaves in the ledger, and that it runs as well without one."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import ledger
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.settings import settings

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def home(emulator: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A connection to a ledger of this test's own."""
    file = tmp_path / "ledger.db"
    monkeypatch.setenv("AIRFLOW_CONN_GCP_JOBS_LEDGER", f"sqlite:///{file}")
    ledger.cache_clear()
    here = ledger()
    assert here
    here.patience_s = 60  # a busy machine is no reason to write later
    yield file
    ledger.cache_clear()


def spec(name: str) -> dict[str, Any]:
    return {"name": name, "image": "repo/sample-job:1", "memory": "512Mi", "env": {"API_KEY": SECRET}}


def row_of(dag_id: str) -> dict[str, Any]:
    here = ledger()
    assert here
    (row,) = here.read(queries.newest(dag_id=dag_id))
    return row


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
def test_a_success_leaves_a_full_record_and_no_secret(
    run_operator: Run, home: Path, deferrable: bool
) -> None:
    name = f"kept_{deferrable}".lower()
    ran = run_operator(
        CloudRunJobOperator,
        name,
        spec=spec(name.replace("_", "-")),
        args=["env", "API_KEY"],
        deferrable=deferrable,
    )
    assert ran.state == "success", ran.log
    row = row_of(name)
    assert (row["state"], row["exit_code"], row["run"]) == ("SUCCEEDED", 0, ran.result["execution"])
    assert row["digest"] == ran.result["digest"]
    assert row["created_at"] <= row["submitted_at"] <= row["ended_at"]
    assert row["spec"]["env"] == {"API_KEY": "***"}
    assert row["overrides"]["args"] == ["env", "API_KEY"]
    assert row["trigger_kind"] == "manual"
    here = ledger()
    assert here
    (held,) = here.read(queries.tries(row["entry"]))
    assert (held["via"], held["ended_at"] is not None) == ("started", True)
    assert [t["state"] for t in here.read(queries.trail(row["run_uid"]))] == [
        "QUEUED",
        "RUNNING",
        "SUCCEEDED",
    ]
    for file in home.parent.glob("ledger.db*"):
        assert SECRET.encode() not in file.read_bytes()


def test_a_failed_batch_job_is_recorded_with_its_class(run_operator: Run) -> None:
    fails = {"image": "python:3.12-slim", "command": ["python", "-c", "import sys; sys.exit(7)"]}
    ran = run_operator(BatchJobOperator, "kept_batch", spec={**spec("kept-batch"), **fails})
    assert ran.state == "failed"
    row = row_of("kept_batch")
    assert (row["state"], row["failure_class"], row["exit_code"]) == ("FAILED", "application", 7)
    assert row["run_uid"]
    assert "exit code 7" in row["message"]
    here = ledger()
    assert here
    (held,) = here.read(queries.tries(row["entry"]))
    assert (held["failure_class"], held["action"]) == ("application", "dead_letter")


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"spec": {"name": "kept-wrong", "image": "i", "cpus": 2}}, "configuration", "unknown key"),
        ({"spec": spec("kept-gone"), "manage_job": False}, "unknown", "the job does not exist"),
        ({"job_name": "kept-nowhere"}, "configuration", "does not exist"),
    ],
    ids=["template", "definition", "submit"],
)
def test_what_is_refused_before_it_runs_is_recorded_too(
    run_operator: Run, options: dict[str, Any], kind: str, said: str
) -> None:
    """An audit asks what was wanted that night, not only what ran."""
    name = options.get("job_name") or options["spec"]["name"]
    ran = run_operator(CloudRunJobOperator, name.replace("-", "_"), **options)
    assert ran.state == "failed"
    row = row_of(name.replace("-", "_"))
    assert (row["state"], row["failure_class"], row["job"]) == ("FAILED", kind, name)
    assert said in row["message"].lower()
    assert row["ended_at"] >= row["created_at"]
    here = ledger()
    assert here
    (held,) = here.read(queries.tries(row["entry"]))
    assert held["action"] == "dead_letter"


def test_past_its_deadline_it_is_recorded_as_timed_out(run_operator: Run) -> None:
    ran = run_operator(
        CloudRunJobOperator, "kept_late", spec=spec("kept-late"), args=["sleep", "60"], timeout_seconds=2,
        polling_period_seconds=0.5,
    )  # fmt: skip
    assert ran.state == "failed"
    row = row_of("kept_late")
    assert (row["state"], row["failure_class"]) == ("CANCELLED", "timed_out")


def test_a_ledger_that_never_answers_delays_a_task_by_a_second_and_is_told_later(
    run_operator: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgres://u:p@127.0.0.1:{silent.getsockname()[1]}/db"
        monkeypatch.setenv("AIRFLOW_CONN_GCP_JOBS_LEDGER", url)
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
        settings.cache_clear()
        ledger.cache_clear()
        ran = run_operator(CloudRunJobOperator, "kept_waiting", spec=spec("kept-waiting"), args=["ok"])
    assert ran.state == "success", ran.log
    assert "The ledger will be told later" in ran.log
    assert ":p@" not in ran.log
    with create_session() as session:
        waits = (
            session.query(TaskStateStoreModel).filter_by(dag_id="kept_waiting", key="gcp_jobs_ledger").one()
        )
        assert '"SUCCEEDED"' in str(waits.value)
        assert SECRET not in str(waits.value)
    assert os.path.exists(tmp_path / ".gcp_jobs_ledger_failed")
