"""Whether a message fulfils a filter.

Texts compare without regard to case but for regular expressions; a comparison with a missing field is false, and
so only NOT finds messages without it.
"""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from google.protobuf import duration_pb2, timestamp_pb2

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.filters.fields import Choice, Moment, find_field, values
from gcp_emulator.filters.grammar import And, Anywhere, Compare, Function, Node, Not, Or

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(node: Node, message: Any) -> bool:
    """InvalidArgument when the filter names a field that this kind of message never has."""
    match node:
        case And(parts):
            return all(matches(part, message) for part in parts)
        case Or(parts):
            return any(matches(part, message) for part in parts)
        case Not(part):
            return not matches(part, message)
        case Anywhere(text):
            return _anywhere(message, text)
        case Function(name, arguments):
            return _function(name, arguments, message)
        case Compare(path):
            return any(_compare(node, value) for value in values(message, path))


def check(node: Node, message_class: Any) -> None:
    """InvalidArgument when the filter cannot be asked of this kind of message."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                check(part, message_class)
        case Not(part):
            check(part, message_class)
        case Compare(path) if find_field(message_class.DESCRIPTOR, path[0]) is None:
            raise InvalidArgument(f"Unparseable filter: Field not found: '{path[0]}'.")
        case Function(name) if name not in FUNCTIONS:
            raise InvalidArgument(f"Unparseable filter: unknown function '{name}'.")


def _compare(node: Compare, value: Any) -> bool:
    if node.operator == "=~":
        return re.search(node.value, _text(value)) is not None
    if node.operator == "!~":
        return re.search(node.value, _text(value)) is None
    if node.operator == ":":
        return (node.value == "*" and not node.quoted) or _has(value, node.value)
    compare = ORDER[node.operator]
    if isinstance(value, Moment):
        return compare(value.nanoseconds, nanoseconds(node.value))
    if isinstance(value, Choice):
        return compare(value.number, _choice(value, node.value))
    if value is None:
        return node.value == "NULL_VALUE" and compare is operator.eq
    if isinstance(value, bool):
        return compare(_text(value), node.value.lower())
    if isinstance(value, int | float):
        number = _number(node.value)
        return number is not None and compare(value, number)
    return compare(value.lower(), node.value.lower())


def _has(value: Any, text: str) -> bool:
    if isinstance(value, Choice):
        return value.number == _choice(value, text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == _number(text)
    return text.lower() in _text(value).lower()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Choice):
        return value.name
    if isinstance(value, Moment):
        return datetime.fromtimestamp(value.nanoseconds / 1e9, UTC).isoformat()
    return str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _choice(value: Choice, text: str) -> int:
    number = value.numbers.get(text.upper())
    if number is None and text.lstrip("-").isdigit():
        number = int(text)
    if number is None:
        raise InvalidArgument(f"Unparseable filter: '{text}' is none of {', '.join(value.numbers)}.")
    return number


def nanoseconds(text: str) -> int:
    """Of an RFC 3339 time, a date, or a duration such as 1.5s."""
    if re.fullmatch(r"-?[\d.]+s", text):
        duration = duration_pb2.Duration()
        duration.FromJsonString(text)
        return duration.ToNanoseconds()
    moment = timestamp_pb2.Timestamp()
    full = f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text
    try:
        # google-cloud-logging writes offsets without a colon
        moment.FromJsonString(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", full))
    except ValueError as error:
        raise InvalidArgument(
            f"Unparseable filter: '{text}' is no time such as 2026-01-31T08:30:00Z."
        ) from error
    return moment.ToNanoseconds()


def _anywhere(message: Any, text: str) -> bool:
    return any(text.lower() in _text(value).lower() for value in values(message, ()))


def _log_id(message: Any, name: str) -> bool:
    return unquote(message.log_name.rpartition("/logs/")[2]) == unquote(name)


def _search(message: Any, *arguments: str) -> bool:
    """Every word of the text, in any order."""
    return all(_anywhere(message, word) for word in arguments[-1].split())


FUNCTIONS: dict[str, Callable[..., bool]] = {"log_id": _log_id, "SEARCH": _search}


def _function(name: str, arguments: tuple[str, ...], message: Any) -> bool:
    if not arguments:
        raise InvalidArgument(f"Unparseable filter: {name}() needs an argument.")
    return FUNCTIONS[name](message, *arguments)
