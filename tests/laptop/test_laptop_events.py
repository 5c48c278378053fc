"""What `make up` deploys for events: what is sent arrives where rules listen, and who may send and take it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from gcp_emulator import process
from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.folder import rules
from gcp_jobs.event_rules.judge import Judge
from gcp_jobs.settings import Settings
from laptop import environment, events
from laptop.cloud import identified


def test_an_upload_meets_the_rule_that_ships_and_what_is_there_stays(tmp_path: Path) -> None:
    with process.start(images=tmp_path, env_cache=tmp_path, log=tmp_path / "log") as ready:
        for _ in range(2):
            events.keep(ready["grpc"], ready["rest"])
        upload = (
            f"{ready['rest']}/upload/storage/v1/b/{events.INCOMING}/o?uploadType=media&name=incoming/a.csv"
        )
        headers = {"Authorization": f"Bearer {environment.account('job')}", "Content-Type": "text/csv"}
        with urlopen(Request(upload, b"breed,weight\n", headers)) as answer:
            generation = json.load(answer)["generation"]
        name = f"projects/{environment.PROJECT}/subscriptions/{events.EVENTS}"
        with grpc.insecure_channel(ready["grpc"]) as channel:
            api = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            (received,) = api.pull(subscription=name, max_messages=10).received_messages
    message = received.message
    event = Event(name, message.message_id, dict(message.attributes), message.data)
    start = Judge(rules(Settings())).start(event)
    assert start.rule == "uploaded-counts"
    assert start.args == ("count", "--upto", "13")
    assert start.env == {"INPUT": "gs://gcp-jobs-incoming/incoming/a.csv", "INPUT_GENERATION": generation}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[dict[str, Any], PublisherClient, SubscriberClient]]:
    """An emulator after `events.keep`, and clients of it."""
    with process.start(images=tmp_path, env_cache=tmp_path, log=tmp_path / "log") as ready:
        events.keep(ready["grpc"], ready["rest"])
        with grpc.insecure_channel(ready["grpc"]) as channel:
            yield (
                ready,
                PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
                SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
            )


def named(kind: str, name: str) -> str:
    return f"projects/{environment.PROJECT}/{kind}/{name}"


@pytest.mark.parametrize(
    ("topic", "may", "may_not"),
    [
        (events.EVENTS, ["event-publisher", "deployer", ""], ["airflow", "job", "audit", "viewer"]),
        (events.LETTERS, ["airflow", "deployer", ""], ["event-publisher", "job", "audit", "viewer"]),
    ],
)
def test_who_may_publish(kept: Any, topic: str, may: list[str], may_not: list[str]) -> None:
    _, publisher, subscriber = kept
    send = {"topic": named("topics", topic), "messages": [{"data": b"x"}]}
    for identity in may:
        publisher.publish(**send, metadata=identified(identity) if identity else ())
    for identity in may_not:
        with pytest.raises(exceptions.PermissionDenied, match="User not authorized"):
            publisher.publish(**send, metadata=identified(identity))
    take = {"subscription": named("subscriptions", topic), "max_messages": 10}
    assert len(subscriber.pull(**take, metadata=identified("airflow")).received_messages) == len(may)
    for identity in ("event-publisher", "job", "audit", "viewer"):
        with pytest.raises(exceptions.PermissionDenied, match="User not authorized"):
            subscriber.pull(**take, metadata=identified(identity))


def test_a_policy_that_somebody_has_changed_stays(kept: Any) -> None:
    ready, publisher, _ = kept
    topic = {"resource": named("topics", events.EVENTS)}
    policy = publisher.get_iam_policy(request=topic)
    for binding in policy.bindings:
        if binding.role == "roles/pubsub.publisher":
            binding.members.append("serviceAccount:shop@example.com")
    changed = publisher.set_iam_policy(request={**topic, "policy": policy})
    events.keep(ready["grpc"], ready["rest"])
    assert publisher.get_iam_policy(request=topic) == changed
