"""The one place that builds Google clients: from an Airflow connection, against Google or a *_EMULATOR_HOST.

Sync clients are cached per process, async ones per event loop (a channel belongs to its loop).
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Self
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from gcp_jobs.errors import ConnectionMissing, EmulatorUnreachable
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    from airflow.sdk import Connection

Api = Literal[
    "Jobs", "Executions", "Tasks", "LoggingServiceV2", "BatchService", "Publisher", "Subscriber", "MetricService"
]  # fmt: skip
_MODULES: dict[str, tuple[str, str]] = {
    "Jobs": ("google.cloud.run_v2", "google.cloud.run_v2.services.jobs.transports"),
    "Executions": ("google.cloud.run_v2", "google.cloud.run_v2.services.executions.transports"),
    "Tasks": ("google.cloud.run_v2", "google.cloud.run_v2.services.tasks.transports"),
    "LoggingServiceV2": (
        "google.cloud.logging_v2.services.logging_service_v2",
        "google.cloud.logging_v2.services.logging_service_v2.transports",
    ),
    "BatchService": ("google.cloud.batch_v1", "google.cloud.batch_v1.services.batch_service.transports"),
    "MetricService": (
        "google.cloud.monitoring_v3",
        "google.cloud.monitoring_v3.services.metric_service.transports",
    ),
    "Publisher": ("google.pubsub_v1", "google.pubsub_v1.services.publisher.transports"),
    "Subscriber": ("google.pubsub_v1", "google.pubsub_v1.services.subscriber.transports"),
}
_HOSTS = {
    "LoggingServiceV2": "logging",
    "BatchService": "batch",
    "MetricService": "monitoring",
    "Publisher": "pubsub",
    "Subscriber": "pubsub",
}
_REGIONAL = frozenset({"Jobs", "Executions", "Tasks"})


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Google: which Airflow connection, as whom, over what, and through which endpoint.

    :param endpoint_region: set to use the regional endpoint of Cloud Run
    """

    gcp_conn_id: str = "google_cloud_default"
    impersonation_chain: tuple[str, ...] = ()
    transport: Literal["grpc", "rest"] = "grpc"
    endpoint_region: str = ""

    @classmethod
    def of(
        cls,
        gcp_conn_id: str,
        impersonation_chain: str | Sequence[str] | None = None,
        transport: Literal["grpc", "rest"] | None = None,
        endpoint_region: str = "",
    ) -> Self:
        """Take the stock operators' way of saying it."""
        chain = (
            (impersonation_chain,)
            if isinstance(impersonation_chain, str)
            else tuple(impersonation_chain or ())
        )
        return cls(gcp_conn_id, chain, transport or "grpc", endpoint_region)

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers."""
        return {
            "gcp_conn_id": self.gcp_conn_id,
            "impersonation_chain": list(self.impersonation_chain),
            "transport": self.transport,
            "endpoint_region": self.endpoint_region,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls.of(**{k: v for k, v in value.items() if k in cls.__slots__})


_accounts: dict[Access, str] = {}


def emulator(api: Api) -> str | None:
    """Address (host:port) of the emulator for an API, None for Google itself."""
    found: str | None = getattr(settings(), f"{_HOSTS.get(api, 'cloud_run')}_emulator_host")
    return found


@cache
def client(api: Api, access: Access) -> Any:
    """Give the sync client of an API.

    :raises ConnectionMissing: Airflow does not know `access.gcp_conn_id`
    :raises EmulatorUnreachable: nobody listens at the emulator's address
    """
    connection = _connection(access)
    address = emulator(api)
    if address:
        _reach(address, api)
    return _build(api, access, _hook(connection, access), is_async=False)


_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Api, Access], Any]] = (
    WeakKeyDictionary()
)


async def async_client(api: Api, access: Access) -> Any:
    """Give the async client of an API for the running loop. gRPC only: the REST transport has no async form.

    :raises ConnectionMissing: Airflow does not know `access.gcp_conn_id`
    """
    mine = _async_clients.setdefault(asyncio.get_running_loop(), {})
    key = (api, access)
    if key not in mine:
        try:
            connection = await BaseHook.aget_connection(access.gcp_conn_id)
        except AirflowNotFoundException as error:
            raise _missing(access) from error
        await asyncio.to_thread(_modules, api)  # the first import of a Google library takes a second
        hook = await asyncio.to_thread(_hook, connection, access)
        if not emulator(api):
            await asyncio.to_thread(hook.get_credentials)
        mine.setdefault(key, _build(api, access, hook, is_async=True))
    return mine[key]


def _hook(connection: "Connection", access: Access) -> "GoogleBaseHook":
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    class GivenConnectionHook(GoogleBaseHook):
        """The provider's hook over a connection fetched before: it may be built off the event loop."""

        @classmethod
        def get_connection(cls, conn_id: str) -> "Connection":
            return connection

    return GivenConnectionHook(access.gcp_conn_id, list(access.impersonation_chain) or None)


def _modules(api: Api) -> tuple[Any, ...]:
    from gcp_jobs import identity

    return (*(import_module(name) for name in _MODULES[api]), identity)


def _build(api: Api, access: Access, hook: "GoogleBaseHook", *, is_async: bool) -> Any:
    package, transports, identity = _modules(api)
    kind = getattr(package, f"{api}{'Async' if is_async else ''}Client")
    address = emulator(api)
    if address is None:
        account = getattr(hook.get_credentials(), "service_account_email", "")
        _accounts[access] = (
            account if "@" in str(account) else ""
        )  # a machine's own is "default" before its first use
        return _for_google(kind, api, access, hook, is_async)
    account = _accounts[access] = caller(access, hook)
    if access.transport == "rest" and not is_async:
        from google.oauth2.credentials import Credentials

        url = settings().gcp_emulator_url or f"http://{address}"
        return kind(
            transport="rest", credentials=Credentials(token=account), client_options={"api_endpoint": url}
        )
    if is_async:
        transport = getattr(transports, f"{api}GrpcAsyncIOTransport")
        return kind(transport=transport(channel=identity.async_channel(address, account)))
    return kind(
        transport=getattr(transports, f"{api}GrpcTransport")(channel=identity.channel(address, account))
    )


def _for_google(kind: Any, api: Api, access: Access, hook: "GoogleBaseHook", is_async: bool) -> Any:
    from airflow.providers.google.common.consts import CLIENT_INFO

    endpoint = None
    if access.endpoint_region and api in _REGIONAL:
        endpoint = f"{access.endpoint_region}-run.googleapis.com:443"
    return kind(
        credentials=hook.get_credentials(),
        client_info=CLIENT_INFO,
        client_options=hook.get_client_options(api_endpoint_override=endpoint),
        transport="rest" if access.transport == "rest" and not is_async else None,
    )


def caller(access: Access, hook: "GoogleBaseHook") -> str:
    """Service account that an emulator sees: the last of the impersonation chain, else the setting."""
    chain = access.impersonation_chain or hook.extras.get("impersonation_chain") or ()
    names = [name.strip() for name in chain.split(",")] if isinstance(chain, str) else list(chain)
    return names[-1] if names else settings().airflow_service_account


def caller_of(access: Access) -> str:
    """Say who calls, to grant a right to: the account as far as a client of ours has told, and where it comes from."""
    connection = f"Airflow's connection {access.gcp_conn_id!r}"
    account = _accounts.get(access) or (access.impersonation_chain or ("",))[-1]
    return f"{account} ({connection})" if account else f"The identity of {connection}"


def credentials(access: Access) -> tuple[Any, str | None]:
    """Give Google credentials and the default project of a connection, for BigQuery's own clients and dlt.

    :raises ConnectionMissing: Airflow does not know `access.gcp_conn_id`
    """
    hook = _hook(_connection(access), access)
    if settings().bigquery_emulator_host:
        from google.oauth2.credentials import Credentials

        return Credentials(token=caller(access, hook)), settings().project
    found: tuple[Any, str | None] = hook.get_credentials_and_project_id()
    return found


def _connection(access: Access) -> "Connection":
    try:
        return BaseHook.get_connection(access.gcp_conn_id)
    except AirflowNotFoundException as error:
        raise _missing(access) from error


def forget() -> None:
    """Drop every cached client: settings or connections have changed."""
    client.cache_clear()
    _async_clients.clear()


def _missing(access: Access) -> ConnectionMissing:
    name = access.gcp_conn_id
    return ConnectionMissing(
        f"Airflow has no connection {name!r}",
        where="gcp_conn_id",
        todo=f"Make it: `airflow connections add {name} --conn-type google_cloud_platform`, or set "
        f"AIRFLOW_CONN_{name.upper()}=google-cloud-platform:// for application default credentials.",
    )


def _reach(address: str, api: Api) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        raise EmulatorUnreachable(
            f"no emulator answers at {address}: {os.strerror(error.errno) if error.errno else error}",
            where=f"{_HOSTS.get(api, 'cloud_run').upper()}_EMULATOR_HOST",
            todo="Start it with `make up` or `python -m gcp_emulator`, or unset the variable to use Google itself.",
        ) from error
