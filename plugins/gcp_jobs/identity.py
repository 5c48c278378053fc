"""Who is calling, on the wire to an emulator: `authorization: Bearer <service account>`.

gRPC refuses call credentials on an insecure channel, so the header is added by interceptors.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
from grpc import aio


class _Details(NamedTuple):
    method: Any
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _SyncDetails(_Details, grpc.ClientCallDetails):
    """grpc's own ClientCallDetails is abstract."""


def _with_bearer(details: Any, account: str) -> list[tuple[str, Any]]:
    others = [(key, value) for key, value in (details.metadata or ()) if key != "authorization"]
    return [*others, ("authorization", f"Bearer {account}")]


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Names the caller on every call of a sync channel."""

    def __init__(self, account: str) -> None:
        self.account = account

    def _named(self, details: Any) -> _SyncDetails:
        return _SyncDetails(
            details.method,
            details.timeout,
            _with_bearer(details, self.account),
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Add the header."""
        return continuation(self._named(details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Add the header."""
        return continuation(self._named(details), request)


class _AsyncBearer:
    def __init__(self, account: str) -> None:
        self.account = account

    def _named(self, details: Any) -> aio.ClientCallDetails:
        metadata = aio.Metadata(*_with_bearer(details, self.account))
        return aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _AsyncUnary(_AsyncBearer, aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Callable[..., Awaitable[Any]], details: Any, request: Any
    ) -> Any:
        """Add the header."""
        return await continuation(self._named(details), request)


class _AsyncStream(_AsyncBearer, aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Awaitable[Any]], details: Any, request: Any
    ) -> Any:
        """Add the header."""
        return await continuation(self._named(details), request)


class _AsyncBoth(_AsyncBearer, aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Callable[..., Any], details: Any, requests: Any
    ) -> Any:
        """Add the header."""
        return await continuation(self._named(details), requests)


def channel(address: str, account: str) -> grpc.Channel:
    """Open a sync channel to an emulator whose calls are made by `account`."""
    return grpc.intercept_channel(grpc.insecure_channel(address), Bearer(account))


def async_channel(address: str, account: str) -> aio.Channel:
    """Open an async channel; call it inside the event loop that will use it."""
    named: list[Any] = [_AsyncUnary(account), _AsyncStream(account), _AsyncBoth(account)]
    return aio.insecure_channel(address, interceptors=named)
