"""The stock way for uploads: a GCSObjectExistenceSensor for each object that is expected, then the provider's operator.

Somebody must know the objects' names beforehand and start the run: the benchmark does.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator
from airflow.providers.google.cloud.sensors.gcs import GCSObjectExistenceSensor
from airflow.sdk import DAG, Param, task, task_group


@task
def expected(params: Any = None) -> list[str]:
    """The names to wait for."""
    return [
        f"{params['prefix']}{number}" for number in range(params["first"], params["first"] + params["count"])
    ]


@task
def job(name: str) -> dict[str, Any]:
    """What to submit for an object."""
    container = {"imageUri": "gcp-emulator/pretend", "commands": ["seconds=1"]}
    variables = {"variables": {"NUMBER": name.rpartition("/")[2], "SIDE": "stock objects"}}
    runnable = {"container": container, "environment": variables}
    return {"taskGroups": [{"taskSpec": {"runnables": [runnable]}, "taskCount": 1}]}


@task_group
def one(name: str) -> None:
    """Waits for an object and runs its job."""
    seen = GCSObjectExistenceSensor(
        task_id="seen", bucket="bench-events", object=name, deferrable=True, poke_interval=5.0
    )
    made: Any = job(name)  # what a task gives is its operator's argument
    run = CloudBatchSubmitJobOperator(
        task_id="run", project_id="local-project", region="europe-west1", deferrable=True,
        job_name="stock-object-{{ ti.map_index }}-{{ params.first }}", job=made,
    )  # fmt: skip
    seen >> run


with DAG(
    "stock_objects",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=100,
    params={
        "first": Param(0, type="integer"),
        "count": Param(1, type="integer"),
        "prefix": Param("in/", type="string"),
    },
):
    one.expand(name=expected())
