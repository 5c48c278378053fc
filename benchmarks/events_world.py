"""What `make bench-events` measures in: an emulator with topics and subscriptions, an Airflow with one side's DAGs."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
from benchmarks.airflow_stack import AirflowStack, own_place
from benchmarks.embedded_cloud import PARENT, EmbeddedCloud, embedded
from google.cloud import batch_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from laptop.environment import PROJECT
from laptop.place import ROOT
from laptop.progress import Progress

HERE = Path(__file__).resolve().parent
TOPIC = f"projects/{PROJECT}/topics/bench-events"
LETTERS = f"projects/{PROJECT}/topics/job-events-dead-letter"
SUBSCRIPTIONS = ("job-events", "stock-messages")
RULES = {
    "messages": {"name": "messages", "source": {"attributes": {"kind": "bench"}}, "template": "bench_job.yaml",
                 "env": {"NUMBER": "{message.data}", "SIDE": "ours"}},
    "objects": {"name": "objects", "source": {"bucket": "bench-events", "prefix": "in/"}, "template": "bench_job.yaml",
                "env": {"NUMBER": {"from": "object.name", "pattern": "in/[0-9]+"}, "SIDE": "ours"}},
}  # fmt: skip
PUBLISH_AT_ONCE = 500
UPLOADS_AT_ONCE = 8
BUCKET = "bench-events"


@dataclass
class Seen:
    """What the emulator's own record says of a burst: when each number's job was made, and how many it has."""

    made: dict[int, float] = field(default_factory=dict)
    jobs: Counter[int] = field(default_factory=Counter)


class World:
    """One emulator and one Airflow."""

    def __init__(self, cloud: EmbeddedCloud, stack: AirflowStack, channel: grpc.Channel) -> None:
        self.cloud, self.stack = cloud, stack
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def publish(self, numbers: Sequence[int]) -> dict[int, float]:
        """Publish a message for each number; gives when (epoch seconds)."""
        at: dict[int, float] = {}
        for first in range(0, len(numbers), PUBLISH_AT_ONCE):
            some = numbers[first : first + PUBLISH_AT_ONCE]
            at |= dict.fromkeys(some, time.time())
            messages: Any = [{"data": str(n).encode(), "attributes": {"kind": "bench"}} for n in some]
            self.publisher.publish(topic=TOPIC, messages=messages)
        return at

    def upload(self, numbers: Sequence[int]) -> dict[int, float]:
        """Upload an object for each number; gives when each upload had been answered (epoch seconds)."""
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            return dict(zip(numbers, pool.map(self._uploaded, numbers), strict=True))

    def _uploaded(self, number: int) -> float:
        url = f"{self.cloud.exports['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{BUCKET}/o"
        request = Request(f"{url}?uploadType=media&name=in/{number}", b"x", {"Content-Type": "text/plain"})
        with urlopen(request, timeout=60):
            return time.time()

    def seen(self, numbers: Sequence[int]) -> Seen:
        """Look at all jobs that bear a number of the burst."""
        found, wanted = Seen(), set(numbers)
        with self.cloud.batch() as api:
            for job in api.list_jobs(request={"parent": PARENT, "page_size": 1000}):
                number = _number(job)
                if number in wanted:
                    at: Any = job.create_time
                    found.jobs[number] += 1
                    found.made[number] = min(found.made.get(number, at.timestamp()), at.timestamp())
        return found


def _number(job: batch_v1.Job) -> int:
    environment = job.task_groups[0].task_spec.runnables[0].environment.variables
    return int(environment.get("NUMBER", "-1").rpartition("/")[2])


def _dags(folder: Path, side: str) -> Path:
    """A folder with the DAG files of one side and nothing else: parsing others costs time too."""
    folder.mkdir()
    ours = side == "ours"
    files = [ROOT / "dags" / "event_started_job.py"] if ours else [HERE / "events_dags" / f"stock_{side}.py"]
    for file in files:
        shutil.copy(file, folder)
    return folder


@contextmanager
def world(side: str, per_minute: int, progress: Progress) -> Iterator[World]:
    """A fresh one. `side`: "ours", or what the stock way watches: "messages", "objects"."""
    import yaml

    with own_place(f"events-{side}") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        channel = ending.enter_context(grpc.insecure_channel(cloud.grpc))
        rules = place.state / "rules"
        rules.mkdir()
        for name, rule in RULES.items():
            (rules / f"{name}.yaml").write_text(yaml.safe_dump(rule))
        settings: Mapping[str, str] = {
            "PYTHONPATH": str(HERE / "end_to_end_site"),
            "AIRFLOW__CORE__EXECUTOR": "warm_executor.WarmExecutor",
            "AIRFLOW__TRIGGERER__CAPACITY": "20000",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "GCP_JOBS_EVENT_RULE_FOLDERS": str(rules),
            "GCP_JOBS_TEMPLATE_FOLDERS": str(HERE / "events_dags"),
            "GCP_JOBS_EVENTS_PER_MINUTE": str(per_minute),
            "BENCH_SIDE": "ours" if side == "ours" else "stock",
        }
        stack = AirflowStack(place, cloud.exports, _dags(place.state / "dags", side), settings, progress)
        made = World(cloud, stack, channel)
        _deploy(made)
        ending.enter_context(stack).start_all()
        yield made


def _deploy(made: World) -> None:
    for topic in (TOPIC, LETTERS):
        made.publisher.create_topic(name=topic)
    for name in SUBSCRIPTIONS:
        made.subscriber.create_subscription(
            name=f"projects/{PROJECT}/subscriptions/{name}", topic=TOPIC, ack_deadline_seconds=30
        )
    storage = f"{made.cloud.exports['STORAGE_EMULATOR_HOST']}/storage/v1/b"
    _post(f"{storage}?project={PROJECT}", {"name": BUCKET})
    told = {"topic": f"//pubsub.googleapis.com/{TOPIC}", "payload_format": "JSON_API_V1"}
    _post(f"{storage}/{BUCKET}/notificationConfigs", told)


def _post(url: str, body: Mapping[str, Any]) -> None:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30):
        pass
