"""Tasks for a night of chaos: each run is one task in one way of waiting; what its job does, the run's params say.

A limited one's job is cancelled past its deadline by the trigger that waits for it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

LIMITED = {"timeout_seconds": 6, "retry_failed": False}
WAYS: dict[str, tuple[Any, bool, dict[str, Any]]] = {
    "batch_deferred": (BatchJobOperator, True, {}),
    "batch_limited": (BatchJobOperator, True, LIMITED),
    "batch_sync": (BatchJobOperator, False, {}),
    "run_deferred": (CloudRunJobOperator, True, {}),
    "run_limited": (CloudRunJobOperator, True, LIMITED),
    "run_sync": (CloudRunJobOperator, False, {"start_token": True}),
}
SECONDS = "seconds={{ 8 if dag_run.clear_number else params.seconds }}"

OWN = {"job_name": "{{ dag.dag_id | replace('_', '-') }}-{{ run_id }}"}  # a definition of each run's own

for way, (operator, deferrable, more) in WAYS.items():
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
            **more,
        )
