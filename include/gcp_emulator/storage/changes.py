"""Tells Pub/Sub topics about objects: https://cloud.google.com/storage/docs/pubsub-notifications."""

import json
import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from gcp_emulator.errors import ApiError
from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.record import Record

log = logging.getLogger(__name__)
KIND = "notification"
GOOGLE = "https://www.googleapis.com"  # the links in a payload
TOPIC = "//pubsub.googleapis.com/"
Publish = Callable[[str, Sequence[Outgoing]], object]


class Event(StrEnum):
    FINALIZE = "OBJECT_FINALIZE"
    DELETE = "OBJECT_DELETE"
    ARCHIVE = "OBJECT_ARCHIVE"
    METADATA_UPDATE = "OBJECT_METADATA_UPDATE"


class Payload(StrEnum):
    JSON = "JSON_API_V1"
    NONE = "NONE"


class Changes:
    """Publishes what the buckets' notification configurations ask for; a topic that cannot be had stops nothing.

    `publish` may be called from any thread and must keep the order of its calls.
    """

    def __init__(self, catalogue: Catalogue, publish: Publish) -> None:
        self._catalogue = catalogue
        self._publish = publish

    def tell(self, event: Event, record: Record, **more: str) -> None:
        """`more` are attributes such as overwroteGeneration."""
        for config in self._catalogue.notes(KIND, record.bucket):
            if _wants(config, event, record.name):
                attributes = {**_attributes(config, event, record), **more}
                self._publish(config["topic"].removeprefix(TOPIC), [_message(config, record, attributes)])


def threadsafe(loop: AbstractEventLoop, publish: Publish) -> Publish:
    """Publishes on the loop, in the order of the calls; what cannot be published is logged and lost."""

    def told(topic: str, messages: Sequence[Outgoing]) -> None:
        try:
            publish(topic, messages)
        except ApiError as error:
            log.warning("%d notifications to %s are lost: %s", len(messages), topic, error.message)

    return lambda topic, messages: loop.call_soon_threadsafe(told, topic, messages)


def _wants(config: Mapping[str, Any], event: Event, name: str) -> bool:
    kinds = config.get("event_types")
    return (not kinds or event in kinds) and name.startswith(config.get("object_name_prefix", ""))


def _attributes(config: Mapping[str, Any], event: Event, record: Record) -> dict[str, str]:
    told = record.fields["updated"] if event in (Event.FINALIZE, Event.METADATA_UPDATE) else None
    return {
        **config.get("custom_attributes", {}),
        "notificationConfig": f"projects/_/buckets/{record.bucket}/notificationConfigs/{config['id']}",
        "eventType": event,
        "payloadFormat": config["payload_format"],
        "bucketId": record.bucket,
        "objectId": record.name,
        "objectGeneration": str(record.generation),
        "eventTime": told or record.fields["timeDeleted"],
    }


def _message(config: Mapping[str, Any], record: Record, attributes: Mapping[str, str]) -> Outgoing:
    content = record.shown(GOOGLE) if config["payload_format"] == Payload.JSON else None
    return Outgoing(json.dumps(content, indent=2).encode() if content else b"", dict(attributes))
