"""What has landed becomes tables: both DAGs one after the other, as the asset chains them."""

import json
from typing import Any

import pytest

from laptop import buckets

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]
BUCKET = "reports-of-a-test"


def test_breeds_that_landed_become_checked_tables_and_the_task_links_to_a_report(house: Any) -> None:
    buckets.keep(house.emulator, BUCKET)
    env = {"GCP_JOBS_INGESTION_DESTINATION": "bigquery", "GCP_JOBS_REPORTS_BUCKET": BUCKET}
    landed = house.airflow("dags", "test", "dog_breeds_ingestion", **env)
    assert landed.returncode == 0, landed.stdout[-6000:]
    ran = house.airflow("dags", "test", "dog_breeds_tables", timeout=250, **env)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "40 breeds and 109 temperaments; all 11 checks passed" in ran.stdout
    report = buckets.newest(house.emulator, BUCKET, "dog_breeds_tables/", ".html")
    assert report
    assert b"<h2>Checks</h2>" in buckets.read(report)
    figures = buckets.newest(house.emulator, BUCKET, "dog_breeds_tables/", ".json")
    assert figures
    assert json.loads(buckets.read(figures))["dim_breeds"] == 40


def test_tables_of_breeds_that_never_landed_say_what_to_run(house: Any) -> None:
    conf = json.dumps({"raw_dataset": "never_landed"})
    ran = house.airflow("dags", "test", "dog_breeds_tables", "--conf", conf, timeout=250)
    assert ran.returncode != 0
    assert "the raw table is missing or too old (exit code 4)" in ran.stdout
    assert "Run dog_breeds_ingestion" in ran.stdout
