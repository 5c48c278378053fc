"""gRPC: every method of the table that a service implements, through the one dispatcher."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import grpc
from grpc import aio

from gcp_emulator import identity
from gcp_emulator.dispatch import Dispatcher
from gcp_emulator.errors import ApiError, StartError
from gcp_emulator.methods import Method

OPTIONS = (
    ("grpc.so_reuseport", 0),  # else a second emulator shares the port in silence
    ("grpc.http2.max_ping_strikes", 0),  # else clients that keep an idle stream alive are hung up on
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
)
Context = aio.ServicerContext[Any, Any]


def _caller(context: Context) -> str:
    metadata = dict(context.invocation_metadata() or ())
    return identity.caller(str(metadata.get("authorization", "")))


def _peer(context: Context) -> str:
    """`host:port` of the caller's end of the connection."""
    return unquote(context.peer()).partition(":")[2]


def _unary(dispatcher: Dispatcher, method: Method) -> Callable[[Any, Context], Awaitable[Any]]:
    async def handle(request: Any, context: Context) -> Any:
        try:
            return await dispatcher.unary(method, request, _caller(context), "grpc", _peer(context))
        except ApiError as error:
            await context.abort(error.code, error.message)

    return handle


def _stream(dispatcher: Dispatcher, method: Method) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def handle(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        try:
            async for answer in dispatcher.stream(method, requests, _caller(context), "grpc", _peer(context)):
                yield answer
        except ApiError as error:
            await context.abort(error.code, error.message)

    return handle


def _handler(dispatcher: Dispatcher, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
    request: Any = method.request_class
    response: Any = method.response_class
    if method.stream:
        return grpc.stream_stream_rpc_method_handler(
            _stream(dispatcher, method), request.FromString, response.SerializeToString
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary(dispatcher, method), request.FromString, response.SerializeToString
    )


async def serve(dispatcher: Dispatcher, host: str, port: int) -> tuple[aio.Server, int]:
    """A started server and the port it got; StartError when the port is taken."""
    server = aio.server(options=OPTIONS)
    services: dict[str, dict[str, Any]] = {}
    for method in dispatcher.methods:
        services.setdefault(method.service, {})[method.name] = _handler(dispatcher, method)
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, handlers) for name, handlers in services.items())
    )
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise StartError(
            f"--grpc-port: cannot listen on {host}:{port}; choose another, or 0 for a free one"
        ) from error
    await server.start()
    return server, bound
