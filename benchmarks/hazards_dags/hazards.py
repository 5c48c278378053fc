"""A task that waits for a job of ten minutes, in each way of waiting."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

SPEC = {"image": "gcp-emulator/pretend", "args": ["seconds=600"], "timeout": 3600}
WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "batch_deferred": (BatchJobOperator, {"deferrable": True}),
    "batch_sync": (BatchJobOperator, {"deferrable": False}),
    "batch_last_sync": (BatchJobOperator, {"deferrable": False, "retries": 0}),
    "run_last_sync": (CloudRunJobOperator, {"deferrable": False, "retries": 0}),
    "batch_kept": (BatchJobOperator, {"deferrable": True, "cancel_on_kill": False}),
    "run_deferred": (CloudRunJobOperator, {"deferrable": True}),
    "run_sync": (CloudRunJobOperator, {"deferrable": False}),
}

for way, (operator, options) in WAYS.items():
    with DAG(way, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        operator(
            task_id="job",
            spec={"name": way.replace("_", "-"), **SPEC},
            retry_delay=timedelta(seconds=1),
            polling_period_seconds=5,
            verbose=False,
            **{"retries": 5, **options},
        )
