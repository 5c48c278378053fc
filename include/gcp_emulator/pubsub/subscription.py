"""A subscription at work: its resource, its backlog, and those who wait for messages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.pubsub import filters
from gcp_emulator.pubsub.backlog import Backlog
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.feed import Feed
from gcp_emulator.pubsub.limits import MAX_ACK_DEADLINE_S, MAX_MESSAGES
from gcp_emulator.pubsub.message import Delivery, Message
from gcp_emulator.pubsub.names import DELETED_TOPIC
from gcp_emulator.pubsub.policy import policy_of
from gcp_emulator.pubsub.refusals import detached, missing, not_authorized, out_of_bounds

Route = Callable[[str, Message], Sequence[float]]


def straight(subscription: str, message: Message) -> Sequence[float]:
    """The route of every message when nothing interferes: once, at once."""
    return (0.0,)


class Subscription:
    """One subscription; `dead_letter(subscription name, message, attempts)` forwards what failed too often."""

    def __init__(
        self,
        resource: Any,
        clock: Callable[[], float],
        incarnation: int,
        dead_letter: Callable[[Any, Message, int], bool],
    ) -> None:
        self.resource = resource
        self._clock = clock
        self._ack_prefix = f"{resource.name}:{incarnation:x}-"
        self._lets_through = filters.read(resource.filter)
        self.backlog = Backlog(
            policy_of(resource),
            self._ack_prefix,
            lambda message, attempts: dead_letter(self.resource, message, attempts),
        )
        self.feed = Feed(self.backlog, clock)
        self._readers: set[Holder] = set()
        self._used = clock()

    @property
    def attached(self) -> bool:
        """Whether a topic feeds it."""
        return not self.resource.detached and self.resource.topic != DELETED_TOPIC

    @property
    def expired(self) -> bool:
        """Whether nobody used it for as long as its expiration policy says."""
        ttl = self.backlog.policy.expires_after
        return ttl is not None and not self._readers and self._clock() - self._used > ttl

    def use(self) -> None:
        """Someone asked for something here: it lives on."""
        self._used = self._clock()

    def replace(self, resource: Any) -> None:
        """Another state of the resource; what is leased keeps its deadline."""
        self.resource = resource
        self.backlog.policy = policy_of(resource)

    def offer(self, messages: Iterable[Message], route: Route = straight) -> None:
        """Take in what was published to the topic, as far as the filter lets it through."""
        now, name = self._clock(), self.resource.name
        for message in messages:
            if self._lets_through(message.attributes):
                for delay in route(name, message):
                    self.backlog.offer(message, now, delay)
        self.backlog.tick(now)
        self.feed.changed()

    async def pull(self, limit: int, wait: float, caller: str) -> list[Delivery]:
        """Up to `limit` messages, waiting for the first up to `wait` seconds."""
        self.check_open()
        holder = Holder(caller)
        self.join(holder)
        try:
            return await self.feed.next(holder, min(limit, MAX_MESSAGES), wait)
        finally:
            self.leave(holder)

    def join(self, holder: Holder) -> None:
        """Someone reads here until `leave`."""
        self._readers.add(holder)

    def leave(self, holder: Holder, undelivered: Iterable[Delivery] = ()) -> None:
        """The holder takes no more; what is `undelivered` never reached it."""
        self._readers.discard(holder)
        self.use()
        self.backlog.leave(holder)
        self.backlog.give_back([delivery.ack_id for delivery in undelivered])
        self.feed.changed()

    def turn_away(self, allowed: Callable[[str], bool]) -> None:
        """Rights have changed: whoever reads here and may not any more is told."""
        for holder in self._readers:
            if not allowed(holder.caller):
                holder.refused = not_authorized()
                holder.wake()

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        self._check_ids(ack_ids)
        self.backlog.acknowledge(ack_ids, self._clock())
        self.feed.changed()

    def modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        """New deadlines, counted from now; 0 refuses the messages."""
        if not 0 <= seconds <= MAX_ACK_DEADLINE_S:
            raise out_of_bounds("ack_deadline_seconds", seconds, 0, MAX_ACK_DEADLINE_S)
        self._check_ids(ack_ids)
        for ack_id in ack_ids:
            self.backlog.modify(ack_id, seconds, self._clock())
        self.feed.changed()

    def restore(self, messages: Iterable[Message]) -> None:
        """Deliver exactly these from now on, those that the filter stops left out."""
        wanted = (message for message in messages if self._lets_through(message.attributes))
        self.backlog.restore(wanted, self._clock())
        self.feed.changed()

    def check_open(self) -> None:
        """FailedPrecondition when it is detached."""
        if self.resource.detached:
            raise detached(self.resource.name)

    def detach(self) -> None:
        """No topic and no messages any more; who waits is told."""
        self.resource.detached = True
        self.backlog.restore((), self._clock())
        self.feed.close(detached(self.resource.name))

    def remove(self) -> None:
        """It was deleted: who waits is told."""
        self.feed.close(missing(self.resource.name))

    def _check_ids(self, ack_ids: Sequence[str]) -> None:
        if not ack_ids:
            raise InvalidArgument("No ack ids specified.")
        name = self.resource.name
        for ack_id in ack_ids:
            if not ack_id.startswith(name) or ack_id[len(name) : len(name) + 1] != ":":
                raise InvalidArgument(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
