"""Messages that are lost, doubled, late or overtaken on their way to a subscription."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from gcp_emulator.faults.book import Active, Book
from gcp_emulator.faults.kinds import Messages
from gcp_emulator.pubsub.message import Message

STRAIGHT = (0.0,)


class Delivery:
    """Tells Pub/Sub after how many seconds copies of a message are to be delivered."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def route(self, subscription: str, message: Message) -> Sequence[float]:
        for active, fault in self._book.of(Messages):
            if _concerns(fault, subscription, message):
                active.seen += 1
                delays = _drawn(active, fault)
                if delays is not STRAIGHT:
                    active.hits += 1
                    return delays
        return STRAIGHT


def _concerns(fault: Messages, subscription: str, message: Message) -> bool:
    return fnmatchcase(subscription, fault.subscription) and all(
        fnmatchcase(message.attributes.get(name, ""), pattern) for name, pattern in fault.attributes.items()
    )


def _drawn(active: Active, fault: Messages) -> Sequence[float]:
    """One throw decides; the shares lie side by side."""
    drawn = active.dice.random()
    outcomes: tuple[tuple[float, Sequence[float]], ...] = (
        (fault.drop, ()),
        (fault.double, (0.0, 0.0)),
        (fault.delay, (fault.delay_s,)),
        (fault.reorder, (active.dice.random() * fault.delay_s,)),
    )
    for share, delays in outcomes:
        if drawn < share:
            return delays
        drawn -= share
    return STRAIGHT
