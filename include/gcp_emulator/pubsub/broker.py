"""Pub/Sub as one object: what its services and, within the process, other services call."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from gcp_emulator import identity
from gcp_emulator.errors import ApiError, FailedPrecondition, Unavailable
from gcp_emulator.pubsub import publishing
from gcp_emulator.pubsub.message import MICROSECONDS, Message, Outgoing
from gcp_emulator.pubsub.names import check_snapshot, kind_of, project_of, short
from gcp_emulator.pubsub.refusals import exists, missing
from gcp_emulator.pubsub.resources import Snapshot as SnapshotResource
from gcp_emulator.pubsub.resources import check_labels
from gcp_emulator.pubsub.rights import Rights
from gcp_emulator.pubsub.roles import CONSUME, PUBLISH
from gcp_emulator.pubsub.snapshots import Snapshot, expiry
from gcp_emulator.pubsub.subscription import Route, Subscription, straight
from gcp_emulator.pubsub.subscriptions import SWEEP_S, Subscriptions
from gcp_emulator.pubsub.topics import Topics
from gcp_emulator.pubsub.updates import SNAPSHOT_FIELDS, updated
from gcp_emulator.store import Store


class PubSub:
    """Topics, subscriptions and snapshots. For one event loop: nothing here may be called from another thread.

    `clock` gives seconds since 1970. `route` may be replaced at any time: it is asked, for each message and each
    subscription that the message is meant for, after how many seconds copies of it are to be delivered. `(0.0,)` is
    the ordinary case, `()` loses it, `(0.0, 0.0)` doubles it, `(2.5,)` delays it beyond later ones. `agent` is
    Pub/Sub's own identity, which forwards dead letters and needs rights like anybody else.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, agent: str = identity.ANONYMOUS
    ) -> None:
        self.route: Route = straight
        self._clock = clock
        self._agent = agent
        self._numbers = itertools.count(int(clock() * 1000) * 1000)
        self._snapshots: dict[str, Snapshot] = {}
        self.rights = Rights(store)
        self.topics = Topics(store, clock, self.rights)
        self.subscriptions = Subscriptions(store, clock, self.topics, self.rights, self._forward)

    def publish(
        self,
        topic: str,
        messages: Sequence[Outgoing],
        request_bytes: int = 0,
        *,
        caller: str = identity.ANONYMOUS,
    ) -> list[str]:
        """Publish to `projects/p/topics/t`; the message ids in order.

        NotFound without such a topic, PermissionDenied where the caller may not, InvalidArgument when a message breaks
        a rule: then none is published.
        """
        self.rights.need(caller, PUBLISH, topic)
        publishing.check(messages, request_bytes)
        return self._publish(topic, messages)

    def check_there(self, resource: str) -> str:
        """What a resource is: `topics`, `subscriptions` or `snapshots`; NotFound when it is not there."""
        kind = kind_of(resource)
        find: dict[str, Callable[[str], object]] = {
            "topics": self.topics.find, "subscriptions": self.subscriptions.find, "snapshots": self.snapshot,
        }  # fmt: skip
        find[kind](resource)
        return kind

    def set_policy(self, resource: str, given: Any) -> Any:
        """From now on this google.iam.v1.Policy says who may do what there; open streams of others end."""
        policy = self.rights.set(resource, given)
        if kind_of(resource) == "subscriptions":
            self.subscriptions.peek(resource).turn_away(
                lambda caller: self.rights.allow(caller, CONSUME, resource)
            )
        return policy

    def delete_topic(self, name: str) -> None:
        """Its subscriptions stay, with `_deleted-topic_` for a topic."""
        topic = self.topics.remove(name)
        for subscription in topic.subscriptions.values():
            self.subscriptions.orphan(subscription)

    def seek_time(self, subscription: Subscription, since: int) -> None:
        """Published before `since` (microseconds): acknowledged. At it or later, and still kept: to be delivered."""
        subscription.check_open()
        topic = self.topics.get(subscription.resource.topic) if subscription.attached else None
        wanted = subscription.backlog.messages(since)
        subscription.restore([*wanted, *(topic.kept(since, self._clock()) if topic else ())])

    def seek_snapshot(self, subscription: Subscription, name: str) -> None:
        subscription.check_open()
        snapshot = self.snapshot(name)
        if snapshot.resource.topic != subscription.resource.topic:
            raise FailedPrecondition(
                f"The subscription's topic {subscription.resource.topic} is different from that of the snapshot "
                f"{snapshot.resource.topic}; they must match in order for Seek to work."
            )
        subscription.restore(snapshot.messages)

    def create_snapshot(self, name: str, subscription: Subscription, labels: Any) -> Snapshot:
        check_snapshot(name)
        check_labels(labels)
        subscription.check_open()
        if name in self.snapshot_names(f"projects/{project_of(name)}"):
            raise exists(name)
        topic = self.topics.find(subscription.resource.topic)
        messages = subscription.backlog.unacknowledged()
        resource = SnapshotResource(name=name, topic=topic.resource.name, labels=labels)
        resource.expire_time.CopyFrom(expiry(messages, self._clock()))
        snapshot = self._snapshots[name] = topic.snapshots[name] = Snapshot(resource, messages)
        return snapshot

    def snapshot(self, name: str) -> Snapshot:
        snapshot = self._snapshots.get(name)
        if snapshot is not None and snapshot.expired(self._clock()):
            self.delete_snapshot(name)
            snapshot = None
        if snapshot is None:
            raise missing(check_snapshot(name, "snapshot"))
        return snapshot

    def update_snapshot(self, given: Any, mask: Any) -> Snapshot:
        snapshot = self.snapshot(given.name)
        resource = updated(snapshot.resource, given, mask, SNAPSHOT_FIELDS)
        check_labels(resource.labels)
        snapshot.resource = resource
        return snapshot

    def delete_snapshot(self, name: str) -> None:
        if name not in self._snapshots:
            raise missing(check_snapshot(name, "snapshot"))
        self.rights.forget(name)
        topic = self.topics.get(self._snapshots.pop(name).resource.topic)
        if topic is not None:
            topic.snapshots.pop(name, None)

    def snapshot_names(self, project: str) -> list[str]:
        for name in [name for name, known in self._snapshots.items() if known.expired(self._clock())]:
            self.delete_snapshot(name)
        return sorted(name for name in self._snapshots if name.startswith(f"{project}/"))

    def close(self) -> None:
        """Ends every wait and every stream, as Google does when it moves one: clients come again."""
        for subscription in self.subscriptions.all():
            subscription.feed.close(
                Unavailable("The service was unable to fulfill your request. Please try again. [code=8a75]")
            )

    def _publish(self, name: str, messages: Iterable[Outgoing]) -> list[str]:
        topic, now = self.topics.find(name), self._clock()
        self.subscriptions.sweep(SWEEP_S)
        published = int(now * MICROSECONDS)
        numbered = [
            Message(next(self._numbers), published, given.data, given.attributes, given.ordering_key)
            for given in messages
        ]
        topic.spread(numbered, now, self.route)
        return [message.id for message in numbered]

    def _forward(self, subscription: Any, message: Message, attempts: int) -> bool:
        """To the dead-letter topic, with where it came from; False when the topic is gone or the agent may not."""
        origin = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": short(subscription.name),
            "CloudPubSubDeadLetterSourceSubscriptionProject": project_of(subscription.name),
            "CloudPubSubDeadLetterSourceTopicPublishTime": _moment(message.published),
        }
        copy = Outgoing(message.data, {**message.attributes, **origin}, message.ordering_key)
        topic = subscription.dead_letter_policy.dead_letter_topic
        try:
            self.rights.need(self._agent, CONSUME, subscription.name)
            self.rights.need(self._agent, PUBLISH, topic)
            self._publish(topic, [copy])
        except ApiError:
            return False
        return True


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).isoformat(timespec="milliseconds")
