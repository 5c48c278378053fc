"""`airflow dags test` with a status topic, as in `make run`: events end its waits, and it leaves nothing behind."""

import json
import re
import urllib.request
from typing import Any

import pytest

from laptop import cloud
from laptop.environment import STATUS_TOPIC

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
SLEEP = {
    "docker_image_uri": "python:3.12-slim",
    "java_app_args": ["python", "-c", "import time; time.sleep(6)"],
}
TELLING = {
    "GCP_JOBS_STATUS_TOPIC": STATUS_TOPIC,
    "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
    "GCP_JOBS_LIST_SECONDS": "600",
}
NOISE = re.compile(
    r"Task was destroyed|Unclosed|unclosed|never awaited|never retrieved|Event loop is closed|Traceback|ResourceWarning"
)


def _ask(house: Any, path: str) -> Any:
    with urllib.request.urlopen(f"{house.emulator}{path}") as answer:
        return json.load(answer)


def _reads(house: Any) -> int:
    found = _ask(house, "/emulator/calls")["calls"]
    return sum(
        c["count"] for c in found if c["method"].endswith(("Executions/GetExecution", "BatchService/GetJob"))
    )


@pytest.fixture
def told(house: Any) -> Any:
    """Runs a DAG with the topic and the sink of a laptop there."""
    cloud.deploy(house.env["CLOUD_RUN_EMULATOR_HOST"], "no-secret")

    def run(dag_id: str, conf: dict[str, Any]) -> tuple[str, int]:
        before = _reads(house)
        ran = house.airflow("dags", "test", dag_id, "--conf", json.dumps(conf), **TELLING)
        assert ran.returncode == 0, ran.stdout[-6000:]
        assert not NOISE.search(ran.stdout), ran.stdout[-6000:]
        left = _ask(house, f"/v1/projects/{house.env['GCP_JOBS_PROJECT']}/subscriptions").get(
            "subscriptions", []
        )
        assert [each for each in left if "/gcp-jobs-" in each["name"]] == []
        return ran.stdout, _reads(house) - before

    return run


def test_the_ingestions_end_is_told_by_the_log_sink(house: Any, told: Any) -> None:
    slow = house.api.removesuffix("/v1") + "/faults/slow-6/v1"
    printed, reads = told("dog_breeds_ingestion", {"api_base_url": slow})
    assert re.search(r"Told that execution dlt-dog-breeds-ingestion-\w+ has ended", printed)
    assert reads == 3, "first, confirming, and the verdict's own"


def test_a_batch_jobs_end_is_told_by_its_notification(told: Any) -> None:
    printed, reads = told("batch_job", SLEEP)
    assert re.search(r"Told that job java-batch-job-\w+ has ended", printed)
    assert reads == 3, "first, confirming, and the verdict's own"


def test_several_waits_in_one_process_leave_nothing_behind(told: Any) -> None:
    printed, _ = told("batch_fan_in", {"upto": 10_000, "tasks": 2})
    assert "1229 primes in 2 parts" in printed
