"""Messages to and from their protobuf form."""

from collections.abc import Iterable
from typing import Any

from gcp_emulator.messages import message_class
from gcp_emulator.pubsub.message import Delivery, Outgoing
from gcp_emulator.pubsub.resources import PUBSUB
from gcp_emulator.pubsub.snapshots import timestamp

PubsubMessage = message_class(f"{PUBSUB}.PubsubMessage")
ReceivedMessage = message_class(f"{PUBSUB}.ReceivedMessage")


def outgoing(given: Any) -> Outgoing:
    """Out of a PubsubMessage; what the service itself sets is not looked at."""
    return Outgoing(given.data, dict(given.attributes), given.ordering_key)


def received(deliveries: Iterable[Delivery]) -> list[Any]:
    """ReceivedMessage, one each."""
    return [_received(delivery) for delivery in deliveries]


def _received(delivery: Delivery) -> Any:
    message = delivery.message
    return ReceivedMessage(
        ack_id=delivery.ack_id,
        delivery_attempt=delivery.attempt,
        message=PubsubMessage(
            data=message.data,
            attributes=message.attributes,
            message_id=message.id,
            publish_time=timestamp(message.published),
            ordering_key=message.ordering_key,
        ),
    )
