"""What events need before they can start jobs: topics, subscriptions, and a bucket that tells of its objects."""

import json
from contextlib import suppress
from urllib.request import Request, urlopen

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from laptop import buckets
from laptop.cloud import identified
from laptop.environment import PROJECT, account

EVENTS = "job-events"
LETTERS = "job-events-dead-letter"
INCOMING = "gcp-jobs-incoming"
LEASE_S = 60


def keep(host: str, url: str) -> None:
    """Makes them at the emulator (gRPC address, REST address); what is there already stays.

    Each topic has one subscription of its own name; the one of dead letters keeps them until somebody looks.
    """
    with grpc.insecure_channel(host) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for name in (EVENTS, LETTERS):
            topic = f"projects/{PROJECT}/topics/{name}"
            with suppress(exceptions.AlreadyExists):
                publisher.create_topic(name=topic, metadata=identified("deployer"))
            with suppress(exceptions.AlreadyExists):
                subscriber.create_subscription(
                    name=f"projects/{PROJECT}/subscriptions/{name}", topic=topic, ack_deadline_seconds=LEASE_S,
                    metadata=identified("deployer"),
                )  # fmt: skip
    buckets.keep(url, INCOMING)
    _keep_notification(f"{url}/storage/v1/b/{INCOMING}/notificationConfigs")


def _keep_notification(url: str) -> None:
    """https://cloud.google.com/storage/docs/reporting-changes"""
    topic = f"//pubsub.googleapis.com/projects/{PROJECT}/topics/{EVENTS}"
    headers = {"Authorization": f"Bearer {account('deployer')}", "Content-Type": "application/json"}
    with urlopen(Request(url, headers=headers), timeout=buckets.WITHIN_S) as answer:
        known = json.load(answer).get("items", [])
    if any(each["topic"] == topic for each in known):
        return
    wanted = {"topic": topic, "payload_format": "JSON_API_V1"}
    with urlopen(Request(url, json.dumps(wanted).encode(), headers), timeout=buckets.WITHIN_S):
        pass
