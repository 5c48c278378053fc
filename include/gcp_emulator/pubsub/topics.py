"""Topics, and the way from a publish to the subscriptions."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gcp_emulator.pubsub.message import MICROSECONDS, Message
from gcp_emulator.pubsub.names import check_topic
from gcp_emulator.pubsub.policy import seconds
from gcp_emulator.pubsub.refusals import exists, missing
from gcp_emulator.pubsub.resources import Topic as Resource
from gcp_emulator.pubsub.resources import complete_topic
from gcp_emulator.pubsub.rights import Rights
from gcp_emulator.pubsub.snapshots import Snapshot
from gcp_emulator.pubsub.subscription import Route, Subscription
from gcp_emulator.pubsub.updates import TOPIC_FIELDS, updated
from gcp_emulator.store import Store


class Topic:
    """One topic: who gets its messages, and those it keeps itself because it has a retention of its own."""

    def __init__(self, resource: Any) -> None:
        self.resource = resource
        self.subscriptions: dict[str, Subscription] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self._kept: deque[Message] = deque()

    @property
    def retention(self) -> float:
        """Seconds that the topic itself keeps messages; 0 without a retention."""
        return seconds(self.resource.message_retention_duration)

    def spread(self, messages: Sequence[Message], now: float, route: Route) -> None:
        """To every subscription and snapshot, and into the topic's own keeping."""
        if self.retention:
            self._kept.extend(messages)
        self._forget(now)
        for snapshot in self.snapshots.values():
            snapshot.offer(messages)
        for subscription in list(self.subscriptions.values()):
            subscription.offer(messages, route)

    def kept(self, since: int, now: float) -> list[Message]:
        """What the topic still has of the messages published at `since` (microseconds) or later."""
        self._forget(now)
        return [message for message in self._kept if message.published >= since]

    def _forget(self, now: float) -> None:
        oldest = (now - self.retention) * MICROSECONDS
        while self._kept and self._kept[0].published < oldest:
            self._kept.popleft()


class Topics:
    """The topics by name; their resources are kept in the store."""

    def __init__(self, store: Store, clock: Callable[[], float], rights: Rights) -> None:
        self._store = store
        self._rights = rights
        self._clock = clock
        self._topics = {resource.name: Topic(resource) for resource in store.all(Resource)}

    def create(self, given: Any) -> Topic:
        resource = complete_topic(given)
        if resource.name in self._topics:
            raise exists(resource.name)
        return self._keep(Topic(resource))

    def find(self, name: str, field: str = "topic") -> Topic:
        """NotFound, or InvalidArgument when this cannot be a topic's name."""
        topic = self._topics.get(name)
        if topic is None:
            raise missing(check_topic(name, field))
        return topic

    def get(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def update(self, given: Any, mask: Any) -> Topic:
        topic = self.find(given.name, "topic.name")
        topic.resource = complete_topic(updated(topic.resource, given, mask, TOPIC_FIELDS))
        return self._keep(topic)

    def remove(self, name: str) -> Topic:
        """Take it out; its subscriptions and snapshots are left to the caller."""
        topic = self.find(name)
        del self._topics[name]
        self._store.remove(Resource, name)
        self._rights.forget(name)
        return topic

    def names(self, project: str) -> list[str]:
        """Of `projects/p`, in alphabetical order."""
        return sorted(name for name in self._topics if name.startswith(f"{project}/"))

    def all(self) -> list[Topic]:
        return list(self._topics.values())

    def _keep(self, topic: Topic) -> Topic:
        self._topics[topic.resource.name] = topic
        self._store.put(topic.resource)
        return topic
