"""DAG dead_letters on a real Airflow and emulator: two letters, one of each backend, are replayed; one is let go."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Action, Attempt, Run
from gcp_jobs.model import JobState
from gcp_jobs.spec import JobSpec

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
NOW = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
SPEC = JobSpec(
    name="letter", project="local-project", region="europe-west1", environment="local", memory="512Mi",
    image="europe-west1-docker.pkg.dev/local-project/jobs/batch-example:1", args=("--upto", "{{ 1 }}"),
)  # fmt: skip


def dead(here: Ledger, entry: str, backend: str) -> None:
    run = Run(
        entry, "nightly", "r1", "t", -1, 1, backend, "local-project", "europe-west1", "letter",
        spec=SPEC.model_dump(mode="json"), overrides={"env": {"WHO": "{{ me }}"}, "args": ["count", "--upto", "50"]},
        created_at=NOW,
    )  # fmt: skip
    over = replace(run, state=JobState.FAILED, ended_at=NOW, failure_class="preempted", message="taken away")
    here.write([over, Attempt(entry, 1, ended_at=NOW, action=Action.DEAD_LETTER)])


def test_letters_are_replayed_with_a_changed_field_then_let_go(house: Any, tmp_path: Path) -> None:
    url = sa.URL.create("sqlite", database=str(tmp_path / "ledger.db"))
    here = open_ledger(url, patience_s=60)
    dead(here, "aa11", "batch")
    dead(here, "bb22", "cloud_run")

    def act(**conf: Any) -> str:
        env = {"AIRFLOW_CONN_GCP_JOBS_LEDGER": f"sqlite:///{url.database}"}
        ran = house.airflow("dags", "test", "dead_letters", "--conf", json.dumps(conf), **env)
        assert ran.returncode == 0, ran.stdout[-8000:]
        return str(ran.stdout)

    act(action="replay", dag_id="nightly", change={"memory": "1Gi"})
    for entry in ("aa11", "bb22"):
        (again,) = here.read(queries.newest(replay_of=entry))
        assert (again["state"], again["spec"]["memory"]) == ("SUCCEEDED", "1Gi"), again["message"]
        assert again["overrides"]["env"]["WHO"] == "{{ me }}", "what was recorded is not rendered once more"
    assert "2 letters were run again before" in act(action="replay", dag_id="nightly")
    act(action="discard", entries=["aa11"], reason="the report is not wanted any more")
    assert [row["entry"] for row in here.read(queries.dead_letters())] == ["bb22"]
