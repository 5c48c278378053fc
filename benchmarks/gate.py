"""A door between clients and the emulator: it lets a job's reads and a caller's subscription through when told to.

Clients are pointed at it as they are at an emulator; whoever measures decides at which moment they see what.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.cloud import batch_v1
from grpc import aio

PASSED_ON = ("authorization", "x-goog-request-params")


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Look:
    """What one caller sees of one job, and when. Clear `ask`, `answer` or `subscribe` to hold what passes there.

    :param seen: the state in each answer to a read, NOT_FOUND where there was no job
    """

    job: str
    caller: str
    ask: asyncio.Event = field(default_factory=_open)
    answer: asyncio.Event = field(default_factory=_open)
    subscribe: asyncio.Event = field(default_factory=_open)
    created: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    subscribing: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Let everything through."""
        for door in (self.ask, self.answer, self.subscribe):
            door.set()


class Gate(grpc.GenericRpcHandler):
    """Passes every call on to the emulator as the bytes that it is made of."""

    def __init__(self, emulator: str) -> None:
        self._channel: Any = aio.insecure_channel(emulator)
        self._server = aio.server()
        self._server.add_generic_rpc_handlers((self,))
        self._looks: list[Look] = []

    async def start(self) -> str:
        """Listen; gives the address."""
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        """End all calls."""
        await self._server.stop(None)
        await self._channel.close()

    def watch(self, look: Look) -> None:
        """Hold what this look wants held."""
        self._looks.append(look)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Give the handler of a method, whatever it is called."""
        method = details.method
        if method.endswith("/StreamingPull"):
            return grpc.stream_stream_rpc_method_handler(partial(self._stream, method))
        return grpc.unary_unary_rpc_method_handler(partial(self._unary, method))

    async def _unary(self, method: str, request: bytes, context: Any) -> bytes:
        metadata = _metadata(context)
        look, read = self._look(method, request, metadata)
        if look and read:
            await look.ask.wait()
        elif look and method.endswith("/CreateSubscription"):
            look.subscribing.set()
            await look.subscribe.wait()
        call: Any = self._channel.unary_unary(method)(
            request, metadata=metadata, timeout=context.time_remaining()
        )
        try:
            answer: bytes = await call
        except aio.AioRpcError as error:
            if look and read:
                await self._show(look, error.code().name)
            await context.abort(error.code(), error.details() or "")
        if look and read:
            await self._show(look, batch_v1.Job.deserialize(answer).status.state.name)
        elif look and method.endswith("/CreateJob"):
            look.created.set()
        return answer

    @staticmethod
    async def _show(look: Look, state: str) -> None:
        look.answered.set()
        await look.answer.wait()
        look.seen.append(state)
        look.told.set()

    def _look(self, method: str, request: bytes, metadata: Any) -> tuple[Look | None, bool]:
        """Whom the call concerns, and whether it reads a job that is there."""
        if method.endswith("BatchService/CreateJob"):
            create = batch_v1.CreateJobRequest.deserialize(request)
            return self._of(f"{create.parent}/jobs/{create.job_id}"), False
        if method.endswith("BatchService/GetJob"):
            look = self._of(batch_v1.GetJobRequest.deserialize(request).name)
            return look, bool(look and look.created.is_set())
        caller = dict(metadata).get("authorization", "").removeprefix("Bearer ")
        return next((look for look in self._looks if look.caller == caller), None), False

    def _of(self, job: str) -> Look | None:
        return next((look for look in self._looks if look.job == job), None)

    async def _stream(self, method: str, requests: Any, context: Any) -> AsyncIterator[bytes]:
        call: Any = self._channel.stream_stream(method)(requests, metadata=_metadata(context))
        try:
            async for answer in call:
                yield answer
        except aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")
        finally:
            call.cancel()


def _metadata(context: Any) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in context.invocation_metadata() if key in PASSED_ON)
