"""What ran at the emulator in the last while: Cloud Run executions and Batch jobs, as a reader is shown them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc
from google.cloud import batch_v1, run_v2
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport

from laptop.cloud import identified
from laptop.environment import PROJECT, REGION

WHERE = f"projects/{PROJECT}/locations/{REGION}"


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: `product` and full name of its job, its own id, what came of it, how long containers ran (s)."""

    product: str
    job: str
    id: str
    outcome: str
    seconds: float


def ran(host: str, since: datetime) -> list[Ran]:
    """All that was started after `since` (with a time zone), the newest first of each product."""
    with grpc.insecure_channel(host) as channel:
        return [*_executions(channel, since), *_jobs(channel, since)]


def _executions(channel: grpc.Channel, since: datetime) -> Iterator[Ran]:
    client = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
    for each in client.list_executions(parent=f"{WHERE}/jobs/-", metadata=identified("viewer")):
        started: Any = each.create_time
        if started <= since:
            return
        job, _, name = each.name.rpartition("/executions/")
        outcome = f"{name}: {each.succeeded_count} of {each.task_count} tasks succeeded"
        took: Any = each.completion_time - each.start_time
        yield Ran("Cloud Run", job, name, outcome, took.total_seconds())


def _jobs(channel: grpc.Channel, since: datetime) -> Iterator[Ran]:
    client = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
    request = batch_v1.ListJobsRequest(parent=WHERE, order_by="create_time desc")
    for each in client.list_jobs(request, metadata=identified("viewer")):
        started: Any = each.create_time
        if started <= since:
            return
        state = batch_v1.JobStatus.State(each.status.state).name
        took: Any = each.status.run_duration
        name = each.name.rpartition("/")[2]
        yield Ran("Batch", each.name, name, f"{state}, tasks: {_tasks(each)}", took.total_seconds())


def _tasks(job: batch_v1.Job) -> int:
    return sum(group.task_count for group in job.task_groups)
