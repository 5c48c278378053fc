"""The jobs of `make bench-waiting`: those that wait for machines, how they end, and those that ended long ago."""

import asyncio
import json
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

PROJECT = "local-project"
PARENT = f"projects/{PROJECT}/locations/europe-west1"
TOPIC = f"projects/{PROJECT}/topics/job-states"
AT_ONCE = 32
PAGE = 1_000
OPTIONS = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
GET, LIST = "google.cloud.batch.v1.BatchService/GetJob", "google.cloud.batch.v1.BatchService/ListJobs"


@dataclass(frozen=True, slots=True)
class Control:
    """What the benchmark asks of the emulator beside Google's API; blocking."""

    url: str

    def reads(self) -> int:
        """How often anybody read or listed jobs since the emulator started."""
        with urllib.request.urlopen(f"{self.url}/emulator/calls") as answer:
            calls = json.load(answer)["calls"]
        return sum(call["count"] for call in calls if call["method"] in (GET, LIST))

    def keep_waiting(self) -> None:
        """There are no machines for any job of ours."""
        self.add(kind="exhaust", machine_type="bench-*")

    def let_fail(self, group: str) -> None:
        """The jobs of a group fail now."""
        self.add(kind="exhaust", machine_type=f"bench-{group}", fails=True)

    def limit(self, per_minute: int) -> None:
        """Put Google's quota on reads of jobs, per project and region."""
        self.add(kind="quota", methods=[GET, LIST], per_minute=per_minute)

    def clear(self) -> None:
        """No fault is on any more: what the benchmark itself reads is under no quota."""
        self._send("DELETE")

    def add(self, **fault: Any) -> None:
        """Ask for a fault."""
        self._send("POST", json.dumps(fault).encode())

    def _send(self, method: str, body: bytes | None = None) -> None:
        headers = {"content-type": "application/json"}
        url = f"{self.url}/emulator/faults"
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).close()


def make_jobs(address: str, groups: list[str]) -> list[tuple[str, str]]:
    """Create a job for each given group, waiting for a machine type of the group's own; names and uids in order."""
    return asyncio.run(_make(address, groups))


async def _make(address: str, groups: list[str]) -> list[tuple[str, str]]:
    numbered = iter(enumerate(groups))
    made: dict[int, tuple[str, str]] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        create = channel.unary_unary(
            "/google.cloud.batch.v1.BatchService/CreateJob",
            request_serializer=batch_v1.CreateJobRequest.serialize,
            response_deserializer=batch_v1.Job.pb().FromString,
        )

        async def work() -> None:
            for number, group in numbered:
                job_id = f"bench-{uuid.uuid4().hex[:16]}"
                request = batch_v1.CreateJobRequest(parent=PARENT, job_id=job_id, job=_job(group))
                job = await create(request)
                made[number] = (job.name, job.uid)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return [made[number] for number in range(len(groups))]


def _job(group: str) -> batch_v1.Job:
    runnable = batch_v1.Runnable(script=batch_v1.Runnable.Script(text="true"))
    told = batch_v1.JobNotification.Message(type_="JOB_STATE_CHANGED")
    policy = batch_v1.AllocationPolicy.InstancePolicy(machine_type=f"bench-{group}")
    instances = batch_v1.AllocationPolicy.InstancePolicyOrTemplate(policy=policy)
    return batch_v1.Job(
        task_groups=[batch_v1.TaskGroup(task_spec=batch_v1.TaskSpec(runnables=[runnable]), task_count=1)],
        notifications=[batch_v1.JobNotification(pubsub_topic=TOPIC, message=told)],
        allocation_policy=batch_v1.AllocationPolicy(instances=[instances]),
    )


def ends(address: str, names: set[str]) -> dict[str, float]:
    """When each of these jobs failed, by the event that says so (epoch seconds)."""
    with grpc.insecure_channel(address, OPTIONS) as channel:
        api = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
        found: dict[str, float] = {}
        request = batch_v1.ListJobsRequest(parent=PARENT, page_size=PAGE)
        for page in api.list_jobs(request).pages:
            for job in batch_v1.ListJobsResponse.pb(page).jobs:
                told = [e for e in job.status.status_events if " to FAILED" in e.description]
                if job.name in names and told:
                    found[job.name] = max(e.event_time.ToNanoseconds() for e in told) / 1e9
            if len(found) == len(names):
                break
    return found


def finished(folder: Path, count: int) -> None:
    """Write an emulator's state in which so many jobs of the region ended in the last day."""
    from gcp_emulator.batch.defaults import new_job
    from gcp_emulator.batch.names import new_uid
    from gcp_emulator.batch.states import JobState
    from gcp_emulator.batch.status import set_job_state
    from gcp_emulator.store import Store

    store = Store(folder)
    job = new_job(
        f"{PARENT}/jobs/done", batch_v1.Job.pb(_job("done")), "jobs@local-project.iam.gserviceaccount.com"
    )
    for state in (JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING, JobState.SUCCEEDED):
        set_job_state(job, state, "123456789012")
    start = time.time() - 86_400
    for number in range(count):
        job.name = f"{PARENT}/jobs/done-{number:06}"
        job.uid = new_uid(f"done-{number:06}")
        job.create_time.FromNanoseconds(int((start + 80_000 * number / count) * 1e9))
        store.put(job)
    store.close()
