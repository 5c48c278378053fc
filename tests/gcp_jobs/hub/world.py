"""What these tests do in the emulator, and how they wait on a hub."""

import asyncio
import json
import logging
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.cloud import batch_v1
from google.pubsub_v1 import SubscriberClient, types

from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access, client
from gcp_jobs.hub import Hub, hub_for
from gcp_jobs.model import JobRef, JobState
from gcp_jobs.waiting import Ended, adrive, wait

PROJECT, REGION = "local-project", "europe-west1"
LOG = logging.getLogger("waits")


@dataclass
class World:
    """The emulator as these tests use it: a topic of the test's own, jobs, faults."""

    emulator: Any
    topic: str

    def submit(self, script: str = "true", *, name: str = "", notify: bool = True) -> JobRef:
        """Create a Batch job that runs a line of shell."""
        runnable = batch_v1.Runnable(script=batch_v1.Runnable.Script(text=script))
        task = batch_v1.TaskSpec(runnables=[runnable], max_run_duration={"seconds": 60})
        job = batch_v1.Job(task_groups=[batch_v1.TaskGroup(task_spec=task, task_count=1)])
        if notify:
            told = batch_v1.JobNotification.Message(type_="JOB_STATE_CHANGED")
            job.notifications = [batch_v1.JobNotification(pubsub_topic=self.topic, message=told)]
        name = name or f"j-{uuid.uuid4().hex[:12]}"
        made = self.batch.create_job(parent=f"projects/{PROJECT}/locations/{REGION}", job_id=name, job=job)
        return JobRef("batch", PROJECT, REGION, name, uid=made.uid)

    @property
    def batch(self) -> Any:
        return client("BatchService", Access())

    @property
    def subscriber(self) -> SubscriberClient:
        api: SubscriberClient = client("Subscriber", Access())
        return api

    def cancel(self, ref: JobRef) -> None:
        self.batch.cancel_job(batch_v1.CancelJobRequest(name=ref.name))

    def delete(self, ref: JobRef) -> None:
        self.batch.delete_job(batch_v1.DeleteJobRequest(name=ref.name))

    def publish(self, data: bytes = b"", **attributes: str) -> None:
        message = types.PubsubMessage(data=data or b"text", attributes=attributes)
        client("Publisher", Access()).publish(topic=self.topic, messages=[message])

    def subscriptions(self) -> list[Any]:
        """Those on the topic."""
        return [
            s
            for s in self.subscriber.list_subscriptions(project=f"projects/{PROJECT}")
            if s.topic == self.topic
        ]

    def fault(self, kind: str, **fields: Any) -> None:
        body = json.dumps({"kind": kind, "seed": 1, **fields}).encode()
        self._ask("POST", body)

    def heal(self) -> None:
        self._ask("DELETE")

    def _ask(self, method: str, body: bytes | None = None) -> None:
        url = f"{self.emulator.url}/emulator/faults"
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).close()


async def ended(hub: Hub, ref: JobRef, *, deadline: float | None = None, log: Any = LOG) -> Ended:
    """Wait for a job on a hub, as JobTrigger does."""
    steps = wait(ref, deadline=deadline, period=0.5, log=log, told=True)
    async with hub.waiting(ref, BatchBackend(Access()), log) as waiter:
        found: Ended = await adrive(steps, waiter, ref, waiter.sleep)
    return found


def state(found: Ended) -> JobState | None:
    """The state in which a wait ended."""
    return found.status.state if found.status else None


async def eventually(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Let the loop run until the condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def the_hub() -> Hub:
    """The running loop's."""
    hub = hub_for(Access())
    assert hub
    return hub
