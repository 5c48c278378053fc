"""Snapshots: what a subscription had not acknowledged at one moment, and all that its topic published since."""

from collections.abc import Iterable
from typing import Any

from gcp_emulator.errors import FailedPrecondition
from gcp_emulator.messages import Timestamp
from gcp_emulator.pubsub.limits import MIN_SNAPSHOT_S, SNAPSHOT_S
from gcp_emulator.pubsub.message import MICROSECONDS, Message


class Snapshot:
    """One snapshot with its messages; both live in memory alone."""

    def __init__(self, resource: Any, messages: Iterable[Message]) -> None:
        self.resource = resource
        self.messages = list(messages)

    def offer(self, messages: Iterable[Message]) -> None:
        self.messages.extend(messages)

    def expired(self, now: float) -> bool:
        end: Timestamp = self.resource.expire_time
        return now >= end.seconds + end.nanos / 1e9


def expiry(messages: Iterable[Message], now: float) -> Timestamp:
    """Seven days less the age of the oldest message; FailedPrecondition when that is under an hour."""
    oldest = min((message.published / MICROSECONDS for message in messages), default=now)
    if oldest + SNAPSHOT_S - now < MIN_SNAPSHOT_S:
        raise FailedPrecondition(
            "The operation could not be completed because the requested source subscription's backlog is too old."
        )
    return timestamp(round((oldest + SNAPSHOT_S) * MICROSECONDS))


def timestamp(microseconds: int) -> Timestamp:
    seconds, rest = divmod(microseconds, MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)
