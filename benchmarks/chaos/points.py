"""Where chaos strikes: every call that a night without faults was seen to make, at each of its boundaries."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gcp_emulator.methods import METHODS


class When(StrEnum):
    """A boundary of a call: before it is sent, after it has done its work and before the answer, after the answer."""

    BEFORE = "before"
    AFTER = "after"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A boundary of a method that a role (worker, triggerer) calls, and what happens there."""

    role: str
    method: str
    when: When
    blow: str

    def __str__(self) -> str:
        return f"{self.role} {'/'.join(self.method.split('.')[-1:])} {self.when} {self.blow}"


STREAMS = frozenset(method.full_name for method in METHODS if method.stream)


def points(calls: Iterable[Mapping[str, str]], blows: Mapping[str, Iterable[str]]) -> list[Point]:
    """Make the points out of a log of calls.

    :param blows: what can happen at a call of a role; other callers' calls are no points
    """
    seen = {(call["caller"].partition("@")[0], call["method"]) for call in calls}
    return sorted(
        Point(role, method, when, blow)
        for role, method in seen
        if role in blows
        for when in _boundaries(method)
        for blow in blows[role]
    )


def _boundaries(method: str) -> Iterator[When]:
    """A stream is opened and then goes on for hours: it has no end of its own to strike at."""
    yield When.BEFORE
    if method not in STREAMS:
        yield from (When.AFTER, When.ANSWERED)
