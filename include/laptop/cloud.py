"""What the laptop commands themselves do at the emulator, through Google's own clients and as their own identities."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

import grpc
from google.api_core import exceptions
from google.cloud import run_v2, secretmanager_v1
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from laptop.environment import PROJECT, REGION, account


def _as(identity: str) -> Sequence[tuple[str, str]]:
    return [("authorization", f"Bearer {account(identity)}")]


def keep_secret(host: str, secret: str, value: str) -> None:
    """Makes `value` the latest version of `secret`, unless it is. `host` is the emulator's host:port."""
    client = secretmanager_v1.SecretManagerServiceClient(
        transport=SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(host))
    )
    deployer, parent = _as("deployer"), f"projects/{PROJECT}"
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


def newest_execution(host: str) -> run_v2.Execution:
    """The execution that started last, of any job. Raises LookupError if there is none."""
    client = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=grpc.insecure_channel(host)))
    parent = f"projects/{PROJECT}/locations/{REGION}/jobs/-"
    for execution in client.list_executions(parent=parent, metadata=_as("viewer")):
        return execution
    raise LookupError(f"no execution of any job below {parent}")


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
