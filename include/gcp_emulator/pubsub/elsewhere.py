"""Another Pub/Sub that this emulator publishes to, such as Google's own emulator."""

import asyncio
import logging
from collections.abc import Sequence

from grpc import aio

from gcp_emulator.messages import message_class
from gcp_emulator.pubsub.limits import MAX_MESSAGES
from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.pubsub.resources import PUBSUB

log = logging.getLogger(__name__)
TIMEOUT_S = 30.0


class Elsewhere:
    """Publishes in the order of the calls, as many messages at once as have come meanwhile.

    A publish returns before the message is there; one that fails is logged and lost.
    """

    def __init__(self, address: str) -> None:
        self._channel = aio.insecure_channel(address)
        request, response = (message_class(f"{PUBSUB}.Publish{name}") for name in ("Request", "Response"))
        self._request = request
        self._call = self._channel.unary_unary(
            f"/{PUBSUB}.Publisher/Publish",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        self._waiting: dict[str, list[Outgoing]] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Have messages published to `projects/p/topics/t` soon."""
        self._waiting.setdefault(topic, []).extend(messages)
        if topic not in self._sending:
            self._sending[topic] = asyncio.create_task(self._send(topic))

    async def close(self) -> None:
        """Send what waits."""
        await asyncio.gather(*self._sending.values())
        await self._channel.close()

    async def _send(self, topic: str) -> None:
        while waiting := self._waiting.pop(topic, None):
            for start in range(0, len(waiting), MAX_MESSAGES):
                request = self._request(topic=topic)
                for message in waiting[start : start + MAX_MESSAGES]:
                    request.messages.add(
                        data=message.data, attributes=message.attributes, ordering_key=message.ordering_key
                    )
                try:
                    await self._call(request, timeout=TIMEOUT_S)
                except aio.AioRpcError as error:
                    log.warning(
                        "%d messages to %s are lost: %s", len(request.messages), topic, error.details()
                    )
        del self._sending[topic]
