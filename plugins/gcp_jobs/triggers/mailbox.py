"""One subscription of events, and the topic for those that start nothing: the calls, with errors that say the fix."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from gcp_jobs.clients import Access, async_client
from gcp_jobs.errors import NotFound
from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.judge import CAME_BY, REASON, Poison

PULL_S = 30.0  # Google answers an empty pull after some time; the emulator after ten seconds
CALL_S = 30.0
AT_ONCE = 1_000  # ids in one call: a request holds at most 512 KiB
MOST_ATTRIBUTES = 90  # Pub/Sub takes 100 of at most 1,024 bytes; some are ours
LONGEST_ATTRIBUTE = 1_024
_CONSUMER = "roles/pubsub.subscriber on the subscription"
_PUBLISHER = "roles/pubsub.publisher on the topic"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Holds no connection: `clients` keeps one an event loop.

    :param subscription: full name
    :param dead_letter_topic: full name
    """

    subscription: str
    dead_letter_topic: str
    access: Access

    async def receive(self, most: int) -> list[tuple[str, Event]]:
        """Wait for messages, not for ever; gives acknowledgement id and event of each."""
        from google.api_core.exceptions import DeadlineExceeded

        api = await async_client("Subscriber", self.access)
        with self._explained("pull events"):
            try:
                answer = await api.pull(
                    subscription=self.subscription, max_messages=most, timeout=PULL_S, retry=None
                )
            except DeadlineExceeded:  # nothing came in time
                return []
        return [(one.ack_id, self._event(one.message)) for one in type(answer).pb(answer).received_messages]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Tell Pub/Sub that these messages are done with."""
        api = await async_client("Subscriber", self.access)
        with self._explained("acknowledge events"):
            for some in chunks(ids):
                await api.acknowledge(
                    subscription=self.subscription, ack_ids=some, timeout=CALL_S, retry=None
                )

    async def keep(self, ids: Sequence[str], seconds: int) -> None:
        """Have these messages not delivered anew for so long; 0: at once."""
        api = await async_client("Subscriber", self.access)
        with self._explained("hold events"):
            for some in chunks(ids):
                await api.modify_ack_deadline(
                    subscription=self.subscription, ack_ids=some, ack_deadline_seconds=seconds, timeout=CALL_S,
                    retry=None,
                )  # fmt: skip

    async def bury(self, dead: Sequence[tuple[Event, Poison]]) -> None:
        """Publish events that start nothing, each with its reason."""
        from gcp_jobs.backends.refusal import explained

        messages = [{"data": event.data, "attributes": _labelled(event, why)} for event, why in dead]
        api = await async_client("Publisher", self.access)
        try:
            with explained("dead-letter events", self.dead_letter_topic, _PUBLISHER, self.access):
                await api.publish(topic=self.dead_letter_topic, messages=messages, timeout=CALL_S, retry=None)
        except NotFound as error:
            raise NotFound(
                "the topic for events that start nothing does not exist", where=self.dead_letter_topic,
                todo=f"Make it: `gcloud pubsub topics create {self.dead_letter_topic}`, or correct "
                "GCP_JOBS_EVENT_DEAD_LETTER_TOPIC.",
            ) from error  # fmt: skip

    def _event(self, message: Any) -> Event:
        published = message.publish_time.ToJsonString() if message.HasField("publish_time") else ""
        return Event(self.subscription, message.message_id, dict(message.attributes), message.data, published)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        from gcp_jobs.backends.refusal import (
            explained,
        )  # brings Google's libraries: not while DAGs are parsed

        shown: AbstractContextManager[None] = explained(doing, self.subscription, _CONSUMER, self.access)
        try:
            with shown:
                yield
        except NotFound as error:
            raise NotFound(
                "the subscription of events does not exist", where=self.subscription,
                todo=f"Make it: `gcloud pubsub subscriptions create {self.subscription} --topic=TOPIC`, or correct "
                "GCP_JOBS_EVENT_SUBSCRIPTION or the rules' `source.subscription`.",
            ) from error  # fmt: skip


def chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    """Cut into what one call may hold."""
    for at in range(0, len(ids), AT_ONCE):
        yield list(ids[at : at + AT_ONCE])


def _labelled(event: Event, why: Poison) -> dict[str, str]:
    """The event's own attributes, and ours: why it is there, and where it came from."""
    said: Mapping[str, str] = {
        REASON: why.reason,
        "gcp_jobs_rule": why.rule,
        CAME_BY: event.subscription,
        "gcp_jobs_message_id": event.id,
        "gcp_jobs_published": event.published,
    }
    own = dict(list(event.attributes.items())[:MOST_ATTRIBUTES])
    return {**own, **{name: _cut(text) for name, text in said.items() if text}}


def _cut(text: str) -> str:
    return text.encode()[:LONGEST_ATTRIBUTE].decode(errors="ignore")
