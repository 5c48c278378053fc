"""A broker whose time stands still until a test moves it."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.message import Delivery, Outgoing
from gcp_emulator.pubsub.resources import Subscription as SubscriptionResource
from gcp_emulator.pubsub.resources import Topic as TopicResource
from gcp_emulator.pubsub.subscription import Subscription
from gcp_emulator.store import Store


class World:
    """One project with topic `events`, and short words for what clients do."""

    def __init__(self, store: Store) -> None:
        self.now = 1_700_000_000.0
        self.store = store
        self.pubsub = PubSub(self.store, lambda: self.now)

    def topic(self, name: str = "events", **fields: Any) -> Any:
        return self.pubsub.topics.create(TopicResource(name=f"projects/p/topics/{name}", **fields)).resource

    def subscribe(self, name: str = "mine", topic: str = "events", **fields: Any) -> Subscription:
        resource = SubscriptionResource(
            name=f"projects/p/subscriptions/{name}", topic=f"projects/p/topics/{topic}", **fields
        )
        return self.pubsub.subscriptions.create(resource)

    def find(self, name: str = "mine") -> Subscription:
        return self.pubsub.subscriptions.find(f"projects/p/subscriptions/{name}")

    def publish(self, *texts: str, topic: str = "events", key: str = "", **attributes: str) -> list[str]:
        messages = [Outgoing(text.encode(), attributes, key) for text in texts]
        return self.pubsub.publish(f"projects/p/topics/{topic}", messages)

    def take(self, subscription: Subscription, limit: int = 100) -> list[Delivery]:
        """What a pull gets at once."""
        holder = Holder()
        taken = subscription.backlog.take(holder, limit, self.now)
        subscription.backlog.leave(holder)
        return taken

    def texts(self, subscription: Subscription, limit: int = 100) -> list[str]:
        return texts(self.take(subscription, limit))

    def update(self, name: str = "mine", *paths: str, **fields: Any) -> Subscription:
        given = SubscriptionResource(name=f"projects/p/subscriptions/{name}", **fields)
        return self.pubsub.subscriptions.update(given, FieldMask(paths=paths or list(fields)))


def texts(deliveries: Iterable[Delivery]) -> list[str]:
    return [delivery.message.data.decode() for delivery in deliveries]


@pytest.fixture
def world() -> Iterator[World]:
    made = World(Store())
    made.topic()
    yield made
    made.store.close()


@pytest.fixture
def restart() -> Any:
    """Another broker over the same store, as after a restart."""
    return lambda world: World(world.store)
