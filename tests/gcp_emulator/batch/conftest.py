"""Batch jobs as a caller makes them, and what they tell a topic."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import batch_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient

State = batch_v1.JobStatus.State
ENDED = {State.SUCCEEDED, State.FAILED, State.CANCELLED}


class Batch:
    """The Batch of one emulator, in the test's own project."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.client: batch_v1.BatchServiceClient = cloud.client(batch_v1.BatchServiceClient)
        self.topic = f"projects/{cloud.project}/topics/jobs"
        self._subscription = f"projects/{cloud.project}/subscriptions/jobs"
        self._subscriber: SubscriberClient | None = None

    @staticmethod
    def script(text: str, **runnable: Any) -> dict[str, Any]:
        return {"script": {"text": text}, **runnable}

    def job(self, *runnables: Any, group: Any = None, **spec: Any) -> batch_v1.Job:
        """A job that logs and notifies; a runnable given as text is a script."""
        steps = [self.script(step) if isinstance(step, str) else step for step in runnables]
        return batch_v1.Job(
            task_groups=[{"task_spec": {"runnables": steps, **spec}, **(group or {})}],
            logs_policy={"destination": "CLOUD_LOGGING"},
            notifications=[
                {"pubsub_topic": self.topic, "message": {"type_": kind}}
                for kind in ("JOB_STATE_CHANGED", "TASK_STATE_CHANGED")
            ],
        )

    def create(self, job: batch_v1.Job, job_id: str = "") -> batch_v1.Job:
        return self.client.create_job(parent=self.cloud.parent, job=job, job_id=job_id)

    def run(self, *runnables: Any, **kwargs: Any) -> batch_v1.Job:
        """Create and wait for the end."""
        return self.wait(self.create(self.job(*runnables, **kwargs)).name)

    def wait(self, name: str, *states: State, seconds: float = 30) -> batch_v1.Job:
        """Wait until the job has ended, or has one of these states."""
        deadline = time.monotonic() + seconds
        while (job := self.client.get_job(name=name)).status.state not in (states or ENDED):
            assert time.monotonic() < deadline, job.status
            time.sleep(0.01)
        return job

    def tasks(self, job: batch_v1.Job, text: str = "") -> list[batch_v1.Task]:
        request = {"parent": f"{job.name}/taskGroups/group0", "filter": text}
        return list(self.client.list_tasks(request=request))

    def exit_codes(self, job: batch_v1.Job, task: int = 0) -> list[int]:
        """Of all attempts of a task that failed."""
        events = self.tasks(job)[task].status.status_events
        return [event.task_execution.exit_code for event in events if event.task_state == 4]

    def lines(self, job: batch_v1.Job, log: str = "batch_task_logs", extra: str = "") -> list[str]:
        entries = self.cloud.logging().list_log_entries(
            resource_names=[f"projects/{self.cloud.project}"],
            filter=f'log_id("{log}") labels.job_uid="{job.uid}" {extra}',
        )
        return [entry.text_payload for entry in entries]

    def listen(self) -> None:
        """Make the topic and a subscription to it; before the job."""
        self.cloud.client(PublisherClient).create_topic(name=self.topic)
        self._subscriber = self.cloud.client(SubscriberClient)
        self._subscriber.create_subscription(name=self._subscription, topic=self.topic)

    def heard(self, count: int) -> list[dict[str, str]]:
        """The attributes of the next messages, in the order of their publication."""
        assert self._subscriber is not None
        found: list[Any] = []
        while len(found) < count:
            answer = self._subscriber.pull(subscription=self._subscription, max_messages=100, timeout=30)
            found += [received.message for received in answer.received_messages]
            self._subscriber.acknowledge(
                subscription=self._subscription, ack_ids=[r.ack_id for r in answer.received_messages]
            )
        return [dict(message.attributes) for message in sorted(found, key=lambda m: int(m.message_id))]


@pytest.fixture
def batch(cloud: Any) -> Iterator[Batch]:
    return Batch(cloud)
