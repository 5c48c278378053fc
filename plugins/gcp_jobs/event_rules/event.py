"""What comes in: one Pub/Sub message, which may tell of a bucket's object. Pure.

Attributes and payload of object notifications: https://cloud.google.com/storage/docs/pubsub-notifications
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gcp_jobs.event_rules.values import ROOTS, Misfit

DEPTH = "gcp-jobs-depth"
_OBJECT = ("eventType", "bucketId", "objectId", "objectGeneration")


@dataclass(frozen=True)
class Event:
    """One message as it came.

    :param subscription: full name of what it came through
    :param published: RFC 3339
    """

    subscription: str
    id: str
    attributes: Mapping[str, str]
    data: bytes
    published: str = ""

    @property
    def tells_of_object(self) -> bool:
        """Whether it is a bucket's notification."""
        return all(name in self.attributes for name in _OBJECT)

    @property
    def identity(self) -> str:
        """What is the same however often it is delivered: of a message its id, of an object what happened to which."""
        if not self.tells_of_object:
            return f"{self.subscription}#{self.id}"
        what, bucket, name, generation = (self.attributes[key] for key in _OBJECT)
        identity = f"{what} gs://{bucket}/{name}#{generation}"
        if what == "OBJECT_METADATA_UPDATE":  # the generation stays
            identity += f".{self.roots['object'].get('metageneration', self.id)}"
        return identity

    @property
    def depth(self) -> int:
        """How many jobs have started each other before this; raises Misfit."""
        found = self.attributes.get(DEPTH)
        if found is None and self.tells_of_object:
            kept = self.roots["object"].get("metadata")
            found = kept.get(DEPTH) if isinstance(kept, Mapping) else None
        if found is None:
            return 0
        if not (str(found).isdecimal() and str(found).isascii() and len(str(found)) < 6):
            raise Misfit(f"{DEPTH} is {str(found)[:100]!r}, no number")
        return int(found)

    @cached_property
    def roots(self) -> "Mapping[str, Any]":
        """What paths lead into."""
        return _Roots(self)

    @cached_property
    def body(self) -> Any:
        """The payload as JSON; raises Misfit."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError) as error:
            raise Misfit(f"the message is no JSON: {str(error)[:200]}") from None

    @cached_property
    def text(self) -> str:
        """The payload as text; raises Misfit."""
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise Misfit(f"the message is no UTF-8 text: {error.reason}") from None


class _Roots(Mapping[str, Any]):
    """Reads what is asked for only: a rule that wants no JSON takes any payload."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __iter__(self) -> Iterator[str]:
        return iter(ROOTS)

    def __len__(self) -> int:
        return len(ROOTS)

    def __getitem__(self, root: str) -> Any:
        event = self._event
        if root == "attributes":
            return event.attributes
        if root == "body":
            return event.body
        if root == "message":
            return _Message(event)
        if root == "object" and event.tells_of_object:
            said = event.body if event.data else {}
            if not isinstance(said, Mapping):
                raise Misfit("the notification's payload is no JSON object")
            _, bucket, name, generation = (event.attributes[key] for key in _OBJECT)
            return {**said, "bucket": bucket, "name": name, "generation": generation}
        raise KeyError(root)


class _Message(Mapping[str, Any]):
    """`message.data` is decoded only where a rule reads it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __iter__(self) -> Iterator[str]:
        return iter(("id", "publish_time", "subscription", "data"))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, name: str) -> Any:
        event = self._event
        if name == "data":
            return event.text
        return {"id": event.id, "publish_time": event.published, "subscription": event.subscription}[name]
