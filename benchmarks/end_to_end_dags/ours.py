"""Each job and a task after it, waited for by BatchJobOperator."""

import os
from datetime import UTC, datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from gcp_jobs.operators.batch import BatchJobOperator

with DAG("bench_ours", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=1000):
    for number in range(int(os.environ["BENCH_JOBS"])):
        BatchJobOperator(
            task_id=f"job_{number}",
            spec={
                "name": "ours",
                "image": "gcp-emulator/pretend",
                "args": [f"say=line of ours {number}", f"seconds={os.environ['BENCH_SECONDS']}"],
                "machine_type": f"ours-{number}",
            },
        ) >> PythonOperator(task_id=f"after_{number}", python_callable=lambda: None)
