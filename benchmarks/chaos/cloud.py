"""What chaos asks of the embedded cloud: its record of what ran, its log of calls, and its faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import grpc
from benchmarks.cloud import Cloud
from benchmarks.embedded_cloud import PARENT, TOPIC
from google.cloud import batch_v1, run_v2
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.types import LogSink
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from laptop.cloud import COMPLETED

GOING, SUCCEEDED, FAILED, CANCELLED = "GOING", "SUCCEEDED", "FAILED", "CANCELLED"
ENDED_BY_ITSELF = frozenset({SUCCEEDED, FAILED})


@dataclass(frozen=True, slots=True)
class Run:
    """A Batch job or an execution, as the cloud has it; times are epoch seconds, `key` is its run key.

    :param task: `dag/run/task/map index` of the task that made it, `try_number` in which of its tries
    """

    name: str
    uid: str
    task: str
    key: str
    try_number: int
    created: float
    ended: float | None
    state: str


@dataclass(frozen=True, slots=True)
class Strike:
    """A call that stood at a boundary when the fault `fault` struck."""

    number: int
    fault: str
    when: str
    method: str
    resource: str
    port: int
    held: bool


@dataclass(frozen=True, slots=True)
class ChaosCloud(Cloud):
    """The emulator whose pages are at `url`, and whose gRPC is at `address`."""

    address: str

    # its record

    def runs(self) -> list[Run]:
        """All that ever ran, as it is now."""
        with grpc.insecure_channel(self.address) as channel:
            batch = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
            run = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
            jobs = batch.list_jobs(request={"parent": PARENT, "page_size": 1000})
            executions = run.list_executions(request={"parent": f"{PARENT}/jobs/-", "page_size": 1000})
            return [*map(_of_job, jobs), *map(_of_execution, executions)]

    def newest_jobs(self) -> list[Run]:
        """The fifty newest Batch jobs."""
        with grpc.insecure_channel(self.address) as channel:
            batch = batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))
            page = next(iter(batch.list_jobs(request={"parent": PARENT, "page_size": 50}).pages))
            return [_of_job(job) for job in page.jobs]

    def calls(self, recent: int) -> list[Mapping[str, str]]:
        """The last calls, oldest first."""
        return list(self._ask("GET", f"calls?recent={recent}").get("recent", []))

    # its faults

    def strikes(self, after: int, wait_s: float) -> list[Strike]:
        """Those after a number; waits for the next one."""
        found = self._ask("GET", f"faults/strikes?{urlencode({'after': after, 'wait': wait_s})}")["strikes"]
        return [
            Strike(
                each["number"], each["fault"], each["when"], each["method"], each["resource"],
                int(each["peer"].rpartition(":")[2] or 0), each["held"],
            )
            for each in found
        ]  # fmt: skip

    def release(self, number: int) -> None:
        """Let a call that is held go on."""
        self._ask("DELETE", f"faults/strikes/{number}")

    def prepare(self) -> None:
        """Make the topic of jobs' states, and the sink that tells it of executions' ends."""
        with grpc.insecure_channel(self.address) as channel:
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)
            self._sink(channel)

    def sink(self) -> None:
        """Make the sink alone, where the topic is there."""
        with grpc.insecure_channel(self.address) as channel:
            self._sink(channel)

    def lie(self, run: Run, state: str) -> None:
        """Tell the topic that a Batch job has ended, which is not true: whoever may publish there can do this."""
        attributes = {
            "JobName": run.name, "JobUID": run.uid, "NewJobState": state, "Region": run.name.split("/")[3],
            "Type": "JOB_STATE_CHANGED",
        }  # fmt: skip
        with grpc.insecure_channel(self.address) as channel:
            api = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            api.publish(topic=TOPIC, messages=[PubsubMessage(data=b"not so", attributes=attributes)])

    @staticmethod
    def _sink(channel: grpc.Channel) -> None:
        sink = LogSink(name="ends", destination=f"pubsub.googleapis.com/{TOPIC}", filter=COMPLETED)
        api = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
        api.create_sink(parent="/".join(PARENT.split("/")[:2]), sink=sink)


def _task(env: Mapping[str, str]) -> str:
    names = ("GCP_JOBS_DAG_ID", "GCP_JOBS_RUN_ID", "GCP_JOBS_TASK_ID", "GCP_JOBS_MAP_INDEX")
    return "/".join(env.get(name, "") for name in names)


def _of_job(job: batch_v1.Job) -> Run:
    env = job.task_groups[0].task_spec.runnables[0].environment.variables
    key = job.labels.get("gcp-jobs-run-key", "")
    state = str(job.status.state.name)
    over = state in (SUCCEEDED, FAILED, CANCELLED)
    return Run(
        job.name,
        job.uid,
        _task(env),
        key,
        _try(env),
        _seconds(job.create_time) or 0.0,
        _seconds(job.update_time) if over else None,
        state if over else GOING,
    )


def _of_execution(execution: run_v2.Execution) -> Run:
    env = {each.name: each.value for each in execution.template.containers[0].env}
    state = GOING
    if execution.completion_time:
        state = CANCELLED if execution.cancelled_count else FAILED if execution.failed_count else SUCCEEDED
    return Run(
        execution.name,
        execution.uid,
        _task(env),
        env.get("GCP_JOBS_RUN_KEY", ""),
        _try(env),
        _seconds(execution.create_time) or 0.0,
        _seconds(execution.completion_time),
        state,
    )


def _try(env: Mapping[str, str]) -> int:
    return int(env.get("GCP_JOBS_TRY_NUMBER", 0))


def _seconds(moment: Any) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime) else None
