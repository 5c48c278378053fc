"""What the laptop commands make in the emulator before Airflow starts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import pytest
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.types import LogSink
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from laptop import cloud, environment
from laptop.child import Child
from laptop.place import ROOT, Place
from laptop.progress import Progress

PROJECT = f"projects/{environment.PROJECT}"
TOPIC = f"{PROJECT}/topics/{environment.STATUS_TOPIC}"
SINK = (cloud.SINK, f"pubsub.googleapis.com/{TOPIC}", cloud.COMPLETED)
VERBS = ("publish", "attachSubscription", "setIamPolicy")
ACCOUNTS = ("airflow", "viewer", "deployer")
Started = Callable[[], AbstractContextManager[grpc.Channel]]


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """Starts an emulator, each time with the same state folder."""
    place = Place.of("cloud", tmp_path)

    @contextmanager
    def start() -> Iterator[grpc.Channel]:
        ready = tmp_path / "ready.json"
        ready.unlink(missing_ok=True)
        options = [
            "--grpc-port=0",
            "--rest-port=0",
            f"--state={place.emulator_state}",
            f"--ready-file={ready}",
        ]
        emulator = Child("emulator", ["gcp_emulator", *options], environment.tools(), place.logs, tmp_path)
        with emulator as running, grpc.insecure_channel(running.ready(ready, Progress())["grpc"]) as channel:
            yield channel

    return start


def deploy(channel: grpc.Channel) -> None:
    cloud.keep_topic(channel, cloud.keep_sink(channel))


def there(channel: grpc.Channel) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Names of all topics; name, destination and filter of all sinks."""
    topics = PublisherClient(transport=PublisherGrpcTransport(channel=channel)).list_topics(project=PROJECT)
    sinks = _config(channel).list_sinks(parent=PROJECT)
    return [topic.name for topic in topics], [(sink.name, sink.destination, sink.filter) for sink in sinks]


def _config(channel: grpc.Channel) -> ConfigServiceV2Client:
    return ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))


def test_topic_and_sink_are_made_once_and_outlive_the_emulator(started: Started) -> None:
    with started() as channel:
        deploy(channel)
        deploy(channel)
        assert there(channel) == ([TOPIC], [SINK])
    with started() as channel:
        assert there(channel) == ([TOPIC], [SINK])
        deploy(channel)
        assert there(channel) == ([TOPIC], [SINK])


def test_jobs_and_the_sink_tell_the_topic_and_airflow_subscribes(started: Started) -> None:
    with started() as channel:
        deploy(channel)
        api = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        roles = {
            identity: list(
                api.test_iam_permissions(
                    request={"resource": TOPIC, "permissions": [f"pubsub.topics.{verb}" for verb in VERBS]},
                    metadata=[("authorization", f"Bearer {identity}")],
                ).permissions
            )
            for identity in (
                "cloud-logs@system.gserviceaccount.com", *cloud.JOBS, *map(environment.account, ACCOUNTS)
            )
        }  # fmt: skip
    publish, attach, change = (f"pubsub.topics.{verb}" for verb in VERBS)
    others = [[attach], [], [publish, attach, change]]
    assert list(roles.values()) == [[publish]] * (1 + len(cloud.JOBS)) + others


def test_a_sink_that_leads_elsewhere_is_put_right(started: Started) -> None:
    with started() as channel:
        elsewhere = LogSink(name=cloud.SINK, destination=SINK[1] + "-old", filter="severity=ERROR")
        _config(channel).create_sink(parent=PROJECT, sink=elsewhere)
        deploy(channel)
        assert there(channel) == ([TOPIC], [SINK])


def test_the_readme_names_the_filter_and_the_topic_that_work_here() -> None:
    told = (ROOT / "README.md").read_text()
    assert f"--log-filter='{cloud.COMPLETED}'" in told
    assert f"GCP_JOBS_STATUS_TOPIC={environment.STATUS_TOPIC}" in told
