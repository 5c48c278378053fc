"""The faults that are on, and what they have done so far."""

import itertools
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gcp_emulator.errors import InvalidArgument, NotFound
from gcp_emulator.faults.kinds import AnyFault, Fault

Wanted = TypeVar("Wanted", bound=Fault)
READER: TypeAdapter[Fault] = TypeAdapter(AnyFault)


@dataclass(eq=False, slots=True)
class Active:
    """A fault that is on: what it was asked (`seen`) and how often it struck (`hits`)."""

    id: str
    fault: Any
    seed: int
    dice: random.Random = field(init=False)
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def strikes(self, share: float, times: int | None = None) -> bool:
        """Whether this one is hit; counted."""
        hit = (times is None or self.hits < times) and self.dice.random() < share
        self.hits += hit
        return hit

    def as_dict(self) -> dict[str, Any]:
        asked = {**self.fault.model_dump(), "seed": self.seed}
        return {"id": self.id, **asked, "seen": self.seen, "hits": self.hits}


class Book:
    """All faults by id; whoever listens hears of every one that comes or goes."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._active: dict[str, Active] = {}
        self.listeners: list[Callable[[Active], None]] = []

    def add(self, content: object) -> Active:
        """Read a fault and put it on; InvalidArgument says which field is wrong and what is allowed."""
        try:
            fault = READER.validate_python(content)
        except ValidationError as error:
            raise InvalidArgument("; ".join(_told(detail) for detail in error.errors())) from error
        seed = secrets.randbits(32) if fault.seed is None else fault.seed
        active = Active(f"fault-{next(self._numbers)}", fault, seed)
        self._active[active.id] = active
        self._tell(active)
        return active

    def find(self, id_: str) -> Active:
        if id_ not in self._active:
            raise NotFound(f"There is no fault '{id_}'; there are: {', '.join(self._active) or 'none'}.")
        return self._active[id_]

    def remove(self, id_: str) -> None:
        active = self.find(id_)
        del self._active[id_]
        self._tell(active)

    def clear(self) -> None:
        for id_ in list(self._active):
            self.remove(id_)

    def all(self) -> list[Active]:
        """In the order in which they came."""
        return list(self._active.values())

    def of(self, kind: type[Wanted]) -> Iterator[tuple[Active, Wanted]]:
        """The faults of one kind."""
        for active in self.all() if self._active else ():
            if isinstance(active.fault, kind):
                yield active, active.fault

    def __contains__(self, active: Active) -> bool:
        return active.id in self._active

    def _tell(self, active: Active) -> None:
        for listener in self.listeners:
            listener(active)


def _told(detail: Any) -> str:
    """One of pydantic's findings in a line: where, and what is allowed."""
    where = ".".join(str(part) for part in detail["loc"] if part != detail["loc"][0]) or "kind"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if detail["loc"] else message
