"""What outlives the emulator, and what is said about jobs that it left behind."""

import os
import time

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient

from gcp_emulator import process

State = batch_v1.JobStatus.State
PARENT = "projects/local-project/locations/europe-west1"
TOPIC, SUBSCRIPTION = "projects/local-project/topics/jobs", "projects/local-project/subscriptions/jobs"


def client(cls, ready):
    return cls(transport=cls.get_transport_class("grpc")(channel=grpc.insecure_channel(ready["grpc"])))


def job(text):
    return batch_v1.Job(
        task_groups=[{"task_spec": {"runnables": [{"script": {"text": text}}]}, "task_count": 2, "parallelism": 1}],
        notifications=[{"pubsub_topic": TOPIC, "message": {"type_": "JOB_STATE_CHANGED", "new_job_state": "FAILED"}}],
    )  # fmt: skip


def reach(batch, name, state):
    while batch.get_job(name=name).status.state != state:
        time.sleep(0.01)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_a_job_that_was_cut_off_has_failed_and_says_why(tmp_path, kill):
    """After a crash nobody may wait for ever for a job that is long gone; its topic hears of it."""
    with process.start(state=tmp_path / "state") as ready:
        batch = client(batch_v1.BatchServiceClient, ready)
        client(PublisherClient, ready).create_topic(name=TOPIC)
        client(SubscriberClient, ready).create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        done = batch.create_job(parent=PARENT, job=job("true"), job_id="done")
        reach(batch, done.name, State.SUCCEEDED)
        cut = batch.create_job(parent=PARENT, job=job("sleep 60"), job_id="cut")
        reach(batch, cut.name, State.RUNNING)
        if kill:
            os.kill(ready["pid"], 9)
    with process.start(state=tmp_path / "state") as ready:
        batch = client(batch_v1.BatchServiceClient, ready)
        assert batch.get_job(name=done.name).status.state == State.SUCCEEDED
        left = batch.get_job(name=cut.name)
        assert left.status.state == State.FAILED
        text = left.status.status_events[-1].description
        assert "The emulator stopped while this job ran; its tasks are gone. Submit it again." in text
        tasks = batch.list_tasks(parent=f"{cut.name}/taskGroups/group0")
        assert [task.status.state for task in tasks] == [4, 6]
        if kill:
            answer = client(SubscriberClient, ready).pull(subscription=SUBSCRIPTION, max_messages=9)
            assert [m.message.attributes["JobUID"] for m in answer.received_messages] == [cut.uid]
        batch.delete_job(name=cut.name).result(30)


def test_cancelling_and_deleting_come_true_over_a_crash(tmp_path):
    with process.start(state=tmp_path / "state", batch_delay=1.0) as ready:
        batch = client(batch_v1.BatchServiceClient, ready)
        for job_id in ("cancelled", "deleted"):
            batch.create_job(parent=PARENT, job=job("true"), job_id=job_id)
        cancelling = batch.cancel_job(name=f"{PARENT}/jobs/cancelled")
        batch.delete_job(name=f"{PARENT}/jobs/deleted")
        os.kill(ready["pid"], 9)
    with process.start(state=tmp_path / "state") as ready:
        batch = client(batch_v1.BatchServiceClient, ready)
        assert batch.get_job(name=f"{PARENT}/jobs/cancelled").status.state == State.CANCELLED
        with pytest.raises(exceptions.NotFound):
            batch.get_job(name=f"{PARENT}/jobs/deleted")
        operation = batch.get_operation({"name": cancelling.operation.name})
        assert operation.done
        assert not operation.error.message
