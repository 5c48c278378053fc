"""The stock way for messages: an AssetWatcher on PubsubPullTrigger, and the provider's Batch operator mapped over them.

MessageQueueTrigger(scheme="google+pubsub") builds this very trigger. Each message becomes a job named by its id.
"""

import base64
import os
from datetime import UTC, datetime
from typing import Any

from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator
from airflow.providers.google.cloud.triggers.pubsub import PubsubPullTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, task

PULL = PubsubPullTrigger(
    project_id="local-project",
    subscription="stock-messages",
    max_messages=100,
    ack_messages=True,
    gcp_conn_id="google_cloud_default",
    poke_interval=1.0,
    return_immediately=False,
)


@task(retries=2)
def jobs(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
    """What to submit, out of the run's asset events."""
    found = []
    for events in triggering_asset_events.values():
        for event in events:
            for received in event.extra["payload"]["message"]:
                message = received["message"]
                number = base64.b64decode(message["data"]).decode()
                container = {"imageUri": "gcp-emulator/pretend", "commands": ["seconds=1"]}
                variables = {"variables": {"NUMBER": number, "SIDE": "stock messages"}}
                runnable = {"container": container, "environment": variables}
                job = {"taskGroups": [{"taskSpec": {"runnables": [runnable]}, "taskCount": 1}]}
                found.append({"job_name": f"stock-{message['message_id']}", "job": job})
    return found


with DAG(
    "stock_messages",
    schedule=[Asset("stock_messages", watchers=[AssetWatcher(name="stock", trigger=PULL)])],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1_000,
    is_paused_upon_creation=os.environ.get("BENCH_SIDE") != "stock",
):
    CloudBatchSubmitJobOperator.partial(
        task_id="run", project_id="local-project", region="europe-west1", deferrable=True, retries=2
    ).expand_kwargs(jobs())
