"""A task that waits for a job of ten minutes, in each way of waiting; some jobs, and some tasks, end earlier."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

LONG_S, SHORT_S = 600, 100
LIMIT_S = 90  # until it all waits, and some more
SPEC = {"image": "gcp-emulator/pretend", "timeout": 3600}
OPERATORS: dict[str, Any] = {"batch": BatchJobOperator, "run": CloudRunJobOperator}
LAST = {"retries": 0}
WAYS: dict[str, dict[str, Any]] = {
    "deferred": {},
    "sync": {},
    "last_sync": LAST,
    "mapped_last_sync": LAST,
    "late_sync": {"retry_delay": timedelta(hours=1)},
    "kept": {"cancel_on_kill": False},
    "ends_deferred": {},
    "ends_sync": {},
    "timeout_deferred": {**LAST, "execution_timeout": timedelta(seconds=LIMIT_S)},
    "timeout_sync": {**LAST, "execution_timeout": timedelta(seconds=LIMIT_S)},
    "deadline_deferred": {**LAST, "timeout_seconds": LIMIT_S},
    "deadline_sync": {**LAST, "timeout_seconds": LIMIT_S},
    "resumes_deferred": {"verbose": True},
}
SILENT = {"policy": {"heartbeat": "45s", "idempotent": True, "host_lost": {"budget": 0}}}

for backend, operator in OPERATORS.items():
    for name, options in WAYS.items():
        way = f"{backend}_{name}"
        args = [f"seconds={SHORT_S if 'ends' in way else LONG_S}"]
        spec = {"name": way.replace("_", "-"), **SPEC, **(SILENT if "resumes" in way else {})}
        usual = {"retries": 10, "deferrable": not way.endswith("sync"), "verbose": False, **options}
        with DAG(way, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
            common: dict[str, Any] = {
                "task_id": "job",
                "spec": spec,
                "retry_delay": timedelta(seconds=1),
                "polling_period_seconds": 5,
                **usual,
            }
            if "mapped" in way:
                operator.partial(**common).expand(args=[args])
            else:
                operator(args=args, **common)
