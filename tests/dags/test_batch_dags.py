"""The Batch DAGs, as a user starts them: every param arrives in the job, and what is wrong is refused by name."""

import json
import re
import urllib.request
from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def job_of(house: Any, printed: str) -> Any:
    """The job that the run has started, as the emulator has it."""
    name = re.findall(r"Started job \S+ of (projects/\S+)", printed)[-1]
    with urllib.request.urlopen(f"{house.emulator}/v1/{name}") as answer:
        return json.load(answer)


def test_every_param_arrives_in_the_job(house: Any) -> None:
    conf = {
        "job_name_prefix": "Bericht für März ",
        "java_app_args": ["count", "--upto", "1000"],
        "container_env_vars": {"GREETING": "hallo: 'welt' <&>"},
        "machine_type": "e2-highmem-4",
        "max_run_duration": "90s",
        "cpu_milli": 500,
        "memory_mib": 300,
        "task_count": 2,
        "parallelism": 2,
        "max_retries": 1,
        "provisioning_model": "SPOT",
        "labels": {"team": "a"},
        "secrets": {"KEY": "dog-api-key"},
        "network": {"network": "default", "no_external_ip": True},
    }
    ran = house.airflow("dags", "test", "batch_job", "--conf", json.dumps(conf))
    assert ran.returncode == 0, ran.stdout[-6000:]
    job = job_of(house, ran.stdout)
    (group,) = job["taskGroups"]
    task, policy = group["taskSpec"], job["allocationPolicy"]
    (runnable,) = task["runnables"]
    assert job["name"].rpartition("/")[2].startswith("bericht-fur-marz-")
    assert runnable["container"]["commands"] == conf["java_app_args"]
    assert runnable["environment"]["variables"]["GREETING"] == "hallo: 'welt' <&>"
    assert runnable["environment"]["secretVariables"] == {
        "KEY": "projects/local-project/secrets/dog-api-key/versions/latest"
    }
    assert (task["maxRunDuration"], task["maxRetryCount"]) == ("90s", 1)
    assert {k: int(task["computeResource"][k]) for k in ("cpuMilli", "memoryMib")} == {
        "cpuMilli": 500, "memoryMib": 300,
    }  # fmt: skip
    assert (int(group["taskCount"]), int(group["parallelism"])) == (2, 2)
    (machines,) = policy["instances"]
    assert machines["policy"]["machineType"] == "e2-highmem-4"
    assert machines["policy"]["provisioningModel"] == "SPOT"
    (interface,) = policy["network"]["networkInterfaces"]
    assert interface == {"network": "global/networks/default", "noExternalIpAddress": True}
    assert job["labels"]["team"] == "a"
    assert job["labels"]["airflow-dag-id"] == "batch_job"
    assert "[task 1] task 1 of 2 looks at 500 to 1000" in ran.stdout


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"max_run_duration": "1 hour"}, "'1 hour' does not match"),
        ({"max_run_duration": "0s"}, "'0s' does not match"),
        ({"docker_image_uri": ""}, "max_run_duration|'' should be non-empty|'' is too short"),
        ({"java_app_args": "count"}, "'count' is not of type 'array'"),
        ({"job_prefix": "x"}, "unknown param 'job_prefix' .did you mean 'job_name_prefix'"),
    ],
    ids=["duration", "no-time", "no-image", "args", "unknown"],
)
def test_what_is_wrong_is_refused_by_name_and_nothing_is_submitted(house: Any, conf: Any, said: str) -> None:
    ran = house.airflow("dags", "test", "batch_job", "--conf", json.dumps(conf))
    assert ran.returncode != 0
    assert re.search(said, ran.stdout), ran.stdout[-3000:]
    assert "Started job" not in ran.stdout


def test_the_parts_of_an_array_come_together(house: Any) -> None:
    ran = house.airflow("dags", "test", "batch_fan_in", "--conf", '{"upto": 10000, "tasks": 3}')
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "1229 primes in 3 parts" in ran.stdout
