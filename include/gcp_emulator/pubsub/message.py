"""A message, as it was given and as it was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that someone wants published."""

    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A published message. `number` counts up within the process and is the message id; `published` is in
    microseconds since 1970, as fine as a client sees it; `size` is what counts towards a stream's limit, in bytes."""

    number: int
    published: int
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str
    size: int = field(init=False)

    def __post_init__(self) -> None:
        attributes = sum(len(key) + len(value) for key, value in self.attributes.items())
        object.__setattr__(self, "size", len(self.data) + attributes)

    @property
    def id(self) -> str:
        return str(self.number)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to a holder; `attempt` is 0 without a dead-letter policy."""

    ack_id: str
    message: Message
    attempt: int = 0
