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
    """Publishes in the order of each caller's calls, as many messages at once as have come meanwhile.

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
        self._waiting: dict[tuple[str, str], list[Outgoing]] = {}
        self._sending: dict[tuple[str, str], asyncio.Task[None]] = {}

    def publish(self, topic: str, messages: Sequence[Outgoing], *, caller: str) -> None:
        """Have messages published to `projects/p/topics/t` soon, as this identity."""
        way = topic, caller
        self._waiting.setdefault(way, []).extend(messages)
        if way not in self._sending:
            self._sending[way] = asyncio.create_task(self._send(*way))

    async def close(self) -> None:
        """Send what waits."""
        await asyncio.gather(*self._sending.values())
        await self._channel.close()

    async def _send(self, topic: str, caller: str) -> None:
        named = (("authorization", f"Bearer {caller}"),)
        while waiting := self._waiting.pop((topic, caller), None):
            for start in range(0, len(waiting), MAX_MESSAGES):
                request = self._request(topic=topic)
                for message in waiting[start : start + MAX_MESSAGES]:
                    request.messages.add(
                        data=message.data, attributes=message.attributes, ordering_key=message.ordering_key
                    )
                try:
                    await self._call(request, timeout=TIMEOUT_S, metadata=named)
                except aio.AioRpcError as error:
                    log.warning(
                        "%d messages to %s are lost: %s", len(request.messages), topic, error.details()
                    )
        del self._sending[topic, caller]
