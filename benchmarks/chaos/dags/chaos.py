"""Tasks for a night of chaos: each run is one task in one way of waiting; what its job does, the run's params say."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

WAYS: dict[str, tuple[Any, bool]] = {
    "batch_deferred": (BatchJobOperator, True),
    "batch_sync": (BatchJobOperator, False),
    "run_deferred": (CloudRunJobOperator, True),
    "run_sync": (CloudRunJobOperator, False),
}
SECONDS = "seconds={{ 8 if dag_run.clear_number else params.seconds }}"

BY_TOKEN = "run_sync"
OWN = {"job_name": "{{ dag.dag_id | replace('_', '-') }}-{{ run_id }}"}  # a definition of each run's own

for way, (operator, deferrable) in WAYS.items():
    with DAG(
        way,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"seconds": Param(10, type="number"), "exit": Param(0, type="integer")},
        max_active_runs=64,
    ):
        operator(
            task_id="job",
            spec={"name": way.replace("_", "-"), "image": "gcp-emulator/pretend", "timeout": 3600},
            args=[SECONDS, "exit={{ params.exit }}", "say=hello"],
            retries=50,
            retry_delay=timedelta(seconds=1),
            polling_period_seconds=3,
            deferrable=deferrable,
            **(OWN if operator is CloudRunJobOperator else {}),
            **({"start_token": True} if way == BY_TOKEN else {}),
        )
