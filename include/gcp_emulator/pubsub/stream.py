"""One streaming pull: acknowledgements come in while messages go out, until either side ends it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from gcp_emulator.errors import ApiError, InvalidArgument
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.limits import MAX_ACK_DEADLINE_S, MAX_MESSAGES, MIN_ACK_DEADLINE_S
from gcp_emulator.pubsub.message import Delivery
from gcp_emulator.pubsub.roles import CONSUME
from gcp_emulator.pubsub.subscription import Subscription


class Stream:
    """Opened by a client's first request.

    A client that has gone gets nothing more: what was on its way to it is free at once, what it had received is
    free at the end of its lease.
    """

    def __init__(self, subscription: Subscription, first: Any, caller: str) -> None:
        self.subscription = subscription
        self._holder = Holder(
            caller,
            ack_deadline=_deadline(first.stream_ack_deadline_seconds),
            max_messages=first.max_outstanding_messages,
            max_bytes=first.max_outstanding_bytes,
        )
        self._on_the_way: Sequence[Delivery] = ()
        self._error: ApiError | None = None
        self._acknowledge(first)

    async def deliveries(self, requests: AsyncIterator[Any]) -> AsyncIterator[Sequence[Delivery]]:
        """Batches; the first is empty and says that the stream is open."""
        self.subscription.join(self._holder)
        listening = asyncio.create_task(self._listen(requests))
        try:
            yield ()
            while batch := await self.subscription.feed.next(self._holder, MAX_MESSAGES):
                self._on_the_way = batch
                yield batch
                self._on_the_way = ()
            if self._error is not None:
                raise self._error
        finally:
            self._end()
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[Any]) -> None:
        """Ends the stream when the client has ended it, or died, or broke a rule."""
        try:
            async for request in requests:
                self._follow(request)
        except ApiError as error:
            self._error = error
        finally:
            self._end()

    def _follow(self, request: Any) -> None:
        if request.subscription:
            raise InvalidArgument("subscription may only be set in first message")
        if request.max_outstanding_messages or request.max_outstanding_bytes:
            raise InvalidArgument(
                "max_outstanding_messages and max_outstanding_bytes may only be set in first message"
            )
        if request.stream_ack_deadline_seconds:
            self._holder.ack_deadline = _deadline(request.stream_ack_deadline_seconds)
        self._acknowledge(request)

    def _acknowledge(self, request: Any) -> None:
        self.subscription.use()
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise InvalidArgument("ack IDs and deadlines must have the same size")
        if request.ack_ids:
            self.subscription.acknowledge(request.ack_ids)
        for ack_id, seconds in zip(
            request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
        ):
            self.subscription.modify([ack_id], seconds)

    def _end(self) -> None:
        if not self._holder.open:
            return
        self.subscription.leave(self._holder, self._on_the_way)
        self._holder.wake()


async def open_stream(pubsub: PubSub, requests: AsyncIterator[Any], caller: str) -> Stream | None:
    """The stream that the first request asks for; None when none came."""
    first = await anext(requests, None)
    if first is None:
        return None
    if not first.subscription:
        raise InvalidArgument("first message must set subscription")
    if not first.stream_ack_deadline_seconds:
        raise InvalidArgument("first message must set stream_ack_deadline_seconds")
    pubsub.rights.need(caller, CONSUME, first.subscription)
    subscription = pubsub.subscriptions.find(first.subscription)
    subscription.check_open()
    return Stream(subscription, first, caller)


def _deadline(seconds: int) -> int:
    if not MIN_ACK_DEADLINE_S <= seconds <= MAX_ACK_DEADLINE_S:
        raise InvalidArgument(
            f"stream_ack_deadline_seconds must be between {MIN_ACK_DEADLINE_S} and {MAX_ACK_DEADLINE_S} seconds"
        )
    return seconds
