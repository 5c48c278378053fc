"""What the laptop commands themselves do at the emulator, through Google's own clients and as their own identities."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

import grpc
from google.api_core import exceptions
from google.cloud import secretmanager_v1
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.types import LogSink
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from laptop.environment import PROJECT, STATUS_TOPIC, account

SECRET = "dog-api-key"
SINK = STATUS_TOPIC
# Who Batch jobs may run as and tell the status topic of themselves; the last is of those that name nobody.
JOBS = (*map(account, ("job", "ingestion", "command")), "123456789012-compute@developer.gserviceaccount.com")
# Cloud Run itself tells nobody of an execution's end; this entry of its audit log does.
# https://docs.cloud.google.com/run/docs/logging, https://docs.cloud.google.com/logging/docs/audit#system-event
COMPLETED = (
    'log_id("cloudaudit.googleapis.com/system_event") resource.type="cloud_run_job" '
    'protoPayload.methodName="/Jobs.RunJob"'
)


def identified(identity: str) -> Sequence[tuple[str, str]]:
    """The metadata by which the emulator takes a call for that of a service account."""
    return [("authorization", f"Bearer {account(identity)}")]


def member(identity: str) -> str:
    """A service account as policies name it."""
    return f"serviceAccount:{account(identity)}"


def deploy(host: str, api_key: str) -> None:
    """Makes what a project needs before Airflow runs there; what is there already stays or is put right.

    That is: the ingestion's secret, the topic that jobs tell their states to, and the log sink that tells it of ended
    Cloud Run executions. `host` is the emulator's host:port.
    """
    with grpc.insecure_channel(host) as channel:
        keep_secret(channel, SECRET, api_key)
        keep_topic(channel, keep_sink(channel))


def keep_topic(channel: grpc.Channel, writer: str) -> None:
    """Makes the topic of jobs' states, unless it is there: jobs and the sink's writer publish, Airflow subscribes."""
    client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    topic = f"projects/{PROJECT}/topics/{STATUS_TOPIC}"
    with suppress(exceptions.AlreadyExists):
        client.create_topic(name=topic, metadata=identified("deployer"))
    publishers = [writer, *(f"serviceAccount:{name}" for name in JOBS)]
    keep_rights(client, topic, {"publisher": publishers, "subscriber": [member("airflow")]})


def keep_rights(client: PublisherClient, resource: str, roles: Mapping[str, Iterable[str]]) -> None:
    """Gives a topic or subscription its policy, unless it has one: who has which of Pub/Sub's roles.

    The deployer owns it.
    """
    deployer = identified("deployer")
    held = client.get_iam_policy(request={"resource": resource}, metadata=deployer)
    if held.bindings:
        return
    for role, members in {"admin": [member("deployer")], **roles}.items():
        held.bindings.add(role=f"roles/pubsub.{role}", members=members)
    client.set_iam_policy(request={"resource": resource, "policy": held}, metadata=deployer)


def keep_sink(channel: grpc.Channel) -> str:
    """Makes the sink from the audit log to that topic, or gives the one that is there this filter and destination; who
    writes for it."""
    client = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
    destination = f"pubsub.googleapis.com/projects/{PROJECT}/topics/{STATUS_TOPIC}"
    sink, deployer = LogSink(name=SINK, destination=destination, filter=COMPLETED), identified("deployer")
    try:
        made = client.create_sink(parent=f"projects/{PROJECT}", sink=sink, metadata=deployer)
    except exceptions.AlreadyExists:
        made = client.update_sink(sink_name=f"projects/{PROJECT}/sinks/{SINK}", sink=sink, metadata=deployer)
    return str(made.writer_identity)


def keep_secret(channel: grpc.Channel, secret: str, value: str) -> None:
    """Makes `value` the latest version of `secret`, unless it is."""
    client = secretmanager_v1.SecretManagerServiceClient(
        transport=SecretManagerServiceGrpcTransport(channel=channel)
    )
    deployer, parent = identified("deployer"), f"projects/{PROJECT}"
    name = f"{parent}/secrets/{secret}"
    wanted = secretmanager_v1.Secret(replication={"automatic": {}})
    with suppress(exceptions.AlreadyExists):
        client.create_secret(parent=parent, secret_id=secret, secret=wanted, metadata=deployer)
    with suppress(exceptions.NotFound, exceptions.FailedPrecondition):
        held = client.access_secret_version(name=f"{name}/versions/latest", metadata=deployer)
        if held.payload.data == value.encode():
            return
    payload = secretmanager_v1.SecretPayload(data=value.encode())
    client.add_secret_version(parent=name, payload=payload, metadata=deployer)


@dataclass(frozen=True, slots=True)
class Calls:
    """How often one caller used one method of the emulator."""

    method: str
    caller: str
    count: int


def calls(url: str) -> list[Calls]:
    """The emulator's own count since it started; `url` is its REST address."""
    with urlopen(f"{url}/emulator/calls", timeout=10) as answer:
        counted: dict[str, Any] = json.load(answer)
    return [Calls(each["method"], each["caller"], each["count"]) for each in counted["calls"]]
