"""Subscriptions by name: made, changed, detached, gone when nobody uses them."""

import itertools
from collections.abc import Callable
from typing import Any

from gcp_emulator.pubsub.message import Message
from gcp_emulator.pubsub.names import DELETED_TOPIC, check_subscription, check_topic
from gcp_emulator.pubsub.refusals import exists, missing
from gcp_emulator.pubsub.resources import Subscription as Resource
from gcp_emulator.pubsub.resources import complete_subscription
from gcp_emulator.pubsub.rights import Rights
from gcp_emulator.pubsub.subscription import Subscription
from gcp_emulator.pubsub.topics import Topics
from gcp_emulator.pubsub.updates import SUBSCRIPTION_FIELDS, updated
from gcp_emulator.store import Store

SWEEP_S = 60.0  # how often a publish looks for expired subscriptions


class Subscriptions:
    """The subscriptions; their resources are kept in the store, their messages are not."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        topics: Topics,
        rights: Rights,
        dead_letter: Callable[[Any, Message, int], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._topics = topics
        self._rights = rights
        self._dead_letter = dead_letter
        self._incarnations = itertools.count(int(clock() * 1000))
        self._swept = clock()
        self._all = {resource.name: self._start(resource) for resource in store.all(Resource)}

    def create(self, given: Any) -> Subscription:
        resource = complete_subscription(given)
        self._topics.find(check_topic(resource.topic, "topic"))
        self._check_dead_letters(resource)
        self.sweep()
        if resource.name in self._all:
            raise exists(resource.name)
        subscription = self._all[resource.name] = self._start(resource)
        self._store.put(resource)
        return subscription

    def find(self, name: str) -> Subscription:
        """The subscription, which counts as used; NotFound, or InvalidArgument when this cannot be its name."""
        subscription = self._all.get(name)
        if subscription is not None and subscription.expired:
            self.remove(subscription)
            subscription = None
        if subscription is None:
            raise missing(check_subscription(name, "subscription"))
        subscription.use()
        return subscription

    def peek(self, name: str) -> Subscription:
        """One of `names`, not counted as used."""
        return self._all[name]

    def update(self, given: Any, mask: Any) -> Subscription:
        subscription = self.find(given.name)
        old = subscription.resource
        resource = complete_subscription(updated(old, given, mask, SUBSCRIPTION_FIELDS))
        resource.detached = old.detached
        self._check_dead_letters(resource, old)
        subscription.replace(resource)
        self._store.put(resource)
        return subscription

    def detach(self, name: str) -> None:
        subscription = self.find(name)
        subscription.check_open()
        self._leave_topic(subscription)
        subscription.detach()
        self._store.put(subscription.resource)

    def orphan(self, subscription: Subscription) -> None:
        """Its topic is gone; what it holds can still be read."""
        subscription.resource.topic = DELETED_TOPIC
        self._store.put(subscription.resource)

    def remove(self, subscription: Subscription) -> None:
        name = subscription.resource.name
        self._leave_topic(subscription)
        del self._all[name]
        self._store.remove(Resource, name)
        self._rights.forget(name)
        subscription.remove()

    def names(self, project: str) -> list[str]:
        """Of `projects/p`, in alphabetical order."""
        self.sweep()
        return sorted(name for name in self._all if name.startswith(f"{project}/"))

    def sweep(self, pause: float = 0.0) -> None:
        """Remove those that nobody used for too long; not again within `pause` seconds."""
        if self._clock() - self._swept >= pause:
            self._swept = self._clock()
            for subscription in [known for known in self._all.values() if known.expired]:
                self.remove(subscription)

    def all(self) -> list[Subscription]:
        return list(self._all.values())

    def _start(self, resource: Any) -> Subscription:
        subscription = Subscription(resource, self._clock, next(self._incarnations), self._dead_letter)
        topic = self._topics.get(resource.topic)
        if topic is not None and subscription.attached:
            topic.subscriptions[resource.name] = subscription
        return subscription

    def _leave_topic(self, subscription: Subscription) -> None:
        topic = self._topics.get(subscription.resource.topic)
        if topic is not None:
            topic.subscriptions.pop(subscription.resource.name, None)

    def _check_dead_letters(self, resource: Any, old: Any = None) -> None:
        """The topic must exist when it is set, not for ever after."""
        name = resource.dead_letter_policy.dead_letter_topic
        if name and (old is None or name != old.dead_letter_policy.dead_letter_topic):
            self._topics.find(name, "dead_letter_topic")
