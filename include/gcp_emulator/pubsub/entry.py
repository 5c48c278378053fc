"""One message in one subscription: where it stands, and who has it."""

from collections import deque
from collections.abc import Callable
from enum import StrEnum

from gcp_emulator import identity
from gcp_emulator.errors import ApiError
from gcp_emulator.pubsub.message import Message


class State(StrEnum):
    WAITING = "waiting"  # to be delivered, now or when it is due
    LEASED = "leased"  # with a holder until its deadline
    ACKED = "acked"  # acknowledged before an earlier one of its ordering key, which may bring it back
    DONE = "done"  # acknowledged for good, forwarded or too old


class Holder:
    """Whoever messages are given to: a stream for its life, a pull for its answer.

    The limits count what was given and neither acknowledged nor refused; 0 is none. `wake` is called when
    there is something for this holder alone. One that is `refused` gets this and no more messages.
    """

    __slots__ = (
        "ack_deadline", "bytes", "caller", "lanes", "max_bytes", "max_messages", "messages", "open", "refused", "wake",
    )  # fmt: skip

    def __init__(
        self,
        caller: str = identity.ANONYMOUS,
        *,
        ack_deadline: float = 0.0,
        max_messages: int = 0,
        max_bytes: int = 0,
    ) -> None:
        self.caller = caller
        self.refused: ApiError | None = None
        self.ack_deadline = ack_deadline
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.messages = 0
        self.bytes = 0
        self.open = True
        self.lanes: deque[Lane] = deque()
        self.wake: Callable[[], None] = nothing

    @property
    def has_room(self) -> bool:
        return (self.max_messages <= 0 or self.messages < self.max_messages) and (
            self.max_bytes <= 0 or self.bytes < self.max_bytes
        )

    def add(self, message: Message) -> None:
        self.messages += 1
        self.bytes += message.size

    def drop(self, message: Message) -> None:
        was_full = not self.has_room
        self.messages -= 1
        self.bytes -= message.size
        if was_full:
            self.wake()


class Entry:
    """A message's place in a backlog; `due` is the end of its lease or of its wait."""

    __slots__ = ("ack_id", "deliveries", "due", "failures", "holder", "lane", "message", "number", "state")

    def __init__(self, number: int, message: Message) -> None:
        self.number = number
        self.message = message
        self.state = State.WAITING
        self.due: float | None = None
        self.holder: Holder | None = None
        self.lane: Lane | None = None
        self.ack_id = ""
        self.deliveries = 0
        self.failures = 0


class Lane:
    """The messages of one ordering key: those out with one holder, oldest first, then those to follow.

    `place` is the queue in which the lane stands for its turn.
    """

    __slots__ = ("holder", "key", "out", "pending", "place")

    def __init__(self, key: str) -> None:
        self.key = key
        self.out: deque[Entry] = deque()
        self.pending: deque[Entry] = deque()
        self.holder: Holder | None = None
        self.place: object = None

    def head(self) -> Entry | None:
        """The next to deliver; None when there is none or it is held back."""
        while self.pending and self.pending[0].state is State.DONE:
            self.pending.popleft()
        return self.pending[0] if self.pending and self.pending[0].due is None else None

    def head_in(self, queue: object) -> Entry | None:
        """The head, if it is in this queue that the lane stands."""
        return self.head() if self.place is queue else None

    def leave(self, queue: object) -> None:
        if self.place is queue:
            self.place = None

    def start(self, holder: Holder) -> Entry:
        """Move the head out to a holder."""
        entry = self.pending.popleft()
        self.out.append(entry)
        self.holder = holder
        return entry

    @property
    def empty(self) -> bool:
        return not self.out and not self.pending


def nothing() -> None:
    """For those who need not be told."""
