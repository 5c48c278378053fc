"""Very many tasks, each to wait for a job of its own (see deferred_tasks).

They are mapped over what a task gives: a triggerer reads the DAG anew for each trigger, thousands of literals each.
"""

import os
from datetime import UTC, datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from gcp_jobs.operators.batch import BatchJobOperator

with DAG(
    "bench_waiting", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=100_000
):
    numbers = PythonOperator(
        task_id="numbers",
        python_callable=lambda: [{"NUMBER": str(number)} for number in range(int(os.environ["BENCH_JOBS"]))],
    )
    BatchJobOperator.partial(
        task_id="job",
        spec={"name": "waiting", "image": "gcp-emulator/pretend", "machine_type": "waiting-0"},
        pool=os.environ.get("BENCH_POOL", "default_pool"),
    ).expand(env=numbers.output)
