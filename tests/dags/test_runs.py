"""Every DAG runs by `airflow dags test`, as a user would try it, against the emulator and the dogs' API."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDS_BREEDS = "dog_breeds_tables"  # its own test: test_tables.py
DAGS = sorted(path.stem for path in (ROOT / "dags").glob("*.py") if path.stem != NEEDS_BREEDS)
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_dag_runs_to_its_end(house: Any, dag_id: str) -> None:
    ran = house.airflow("dags", "test", dag_id)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "state=success" in ran.stdout


def test_breeds_land_and_the_log_of_the_job_is_in_the_task_log(house: Any) -> None:
    conf = {"dataset": "breeds_of_a_test", "page_size": 7}
    ran = house.airflow("dags", "test", "dog_breeds_ingestion", "--conf", json.dumps(conf))
    assert ran.returncode == 0, ran.stdout[-6000:]
    with duckdb.connect(house.env["GCP_JOBS_INGESTION_DUCKDB_PATH"], read_only=True) as landed:
        (rows,) = landed.execute(
            "SELECT count(*) FROM breeds_of_a_test_local.dog_breeds_resource"
        ).fetchone() or (0,)
    assert rows > 0
    assert re.search(rf"holds {rows} rows; \d+ records were rejected", ran.stdout)
    assert "Started execution dlt-dog-breeds-ingestion-" in ran.stdout
    assert "no-secret" not in ran.stdout


def test_an_unknown_param_is_refused_by_name_before_anything_runs(house: Any) -> None:
    ran = house.airflow("dags", "test", "dog_breeds_ingestion", "--conf", '{"page_sice": 7}')
    assert ran.returncode != 0
    assert "unknown param 'page_sice' (did you mean 'page_size'?)" in ran.stdout
    assert "Started execution" not in ran.stdout


def test_a_param_of_the_wrong_type_is_refused_with_the_reason(house: Any) -> None:
    ran = house.airflow("dags", "test", "dog_breeds_ingestion", "--conf", '{"page_size": "many"}')
    assert ran.returncode != 0
    assert "'many' is not of type 'integer'" in ran.stdout


def test_an_api_that_is_down_is_explained_with_the_jobs_last_lines(house: Any, unused_port: int) -> None:
    conf = {"api_base_url": f"http://127.0.0.1:{unused_port}/v1", "http_timeout_s": 1, "http_attempts": 1}
    ran = house.airflow("dags", "test", "dog_breeds_ingestion", "--conf", json.dumps(conf))
    assert ran.returncode != 0
    assert "the dog API did not deliver (exit code 4)" in ran.stdout
    assert "Last log lines:" in ran.stdout
