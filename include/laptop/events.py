"""What events need before they can start jobs: topics, subscriptions, and a bucket that tells of its objects."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.request import Request, urlopen

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from laptop import buckets
from laptop.cloud import identified, keep_rights, member
from laptop.environment import PROJECT, account

EVENTS = "job-events"
LETTERS = "job-events-dead-letter"
INCOMING = "gcp-jobs-incoming"
PUBLISHER = "event-publisher"  # who may start jobs by messages, beside the project's owner
LEASE_S = 60


def keep(host: str, url: str) -> None:
    """Makes them at the emulator (gRPC address, REST address); what is there already stays.

    Each topic has one subscription of its own name; the one of dead letters keeps them until somebody looks. Messages
    may come from the publisher and from buckets, dead letters from Airflow, which reads both subscriptions.
    """
    publishers = {
        EVENTS: [member(PUBLISHER), f"serviceAccount:{_storage_agent(url)}"],
        LETTERS: [member("airflow")],
    }
    with grpc.insecure_channel(host) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for name, may in publishers.items():
            topic, subscription = (
                f"projects/{PROJECT}/{kind}/{name}" for kind in ("topics", "subscriptions")
            )
            with suppress(exceptions.AlreadyExists):
                publisher.create_topic(name=topic, metadata=identified("deployer"))
            with suppress(exceptions.AlreadyExists):
                subscriber.create_subscription(
                    name=subscription,
                    topic=topic,
                    ack_deadline_seconds=LEASE_S,
                    metadata=identified("deployer"),
                )
            keep_rights(publisher, topic, {"publisher": may})
            keep_rights(publisher, subscription, {"subscriber": [member("airflow")]})
    buckets.keep(url, INCOMING)
    _keep_notification(f"{url}/storage/v1/b/{INCOMING}/notificationConfigs")


def _storage_agent(url: str) -> str:
    """Who publishes for buckets: https://cloud.google.com/storage/docs/getting-service-agent"""
    return str(_ask(f"{url}/storage/v1/projects/{PROJECT}/serviceAccount")["email_address"])


def _keep_notification(url: str) -> None:
    """https://cloud.google.com/storage/docs/reporting-changes"""
    topic = f"//pubsub.googleapis.com/projects/{PROJECT}/topics/{EVENTS}"
    if not any(each["topic"] == topic for each in _ask(url).get("items", [])):
        _ask(url, {"topic": topic, "payload_format": "JSON_API_V1"})


def _ask(url: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {account('deployer')}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(url, data, headers), timeout=buckets.WITHIN_S) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
