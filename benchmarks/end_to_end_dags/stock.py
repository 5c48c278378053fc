"""Each job and a task after it, waited for by the Google provider's CloudBatchSubmitJobOperator."""

import os
from datetime import UTC, datetime

from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

SECONDS = os.environ["BENCH_SECONDS"]

with DAG("bench_stock", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=1000):
    for number in range(int(os.environ["BENCH_JOBS"])):
        container = {"imageUri": "gcp-emulator/pretend", "commands": [f"seconds={SECONDS}"]}
        CloudBatchSubmitJobOperator(
            task_id=f"job_{number}",
            project_id="local-project",
            region="europe-west1",
            job_name=f"stock-{number}",
            job={
                "taskGroups": [{"taskSpec": {"runnables": [{"container": container}]}, "taskCount": 1}],
                "allocationPolicy": {"instances": [{"policy": {"machineType": f"stock-{number}"}}]},
            },
            deferrable=True,
        ) >> PythonOperator(task_id=f"after_{number}", python_callable=lambda: None)
