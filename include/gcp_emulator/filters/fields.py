"""Reads the values that a path of a filter means out of a protobuf message."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

TIME = ("google.protobuf.Timestamp", "google.protobuf.Duration")
STRUCT, VALUE, LIST = "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"
ANY = "google.protobuf.Any"


@dataclass(frozen=True, slots=True)
class Moment:
    """A timestamp or a duration, in nanoseconds."""

    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum's value: number, name, and the enum's own names."""

    number: int
    name: str
    numbers: dict[str, int]


def find_field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """By the proto's name or its JSON name."""
    return descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)


def values(message: Any, path: Sequence[str]) -> Iterator[Any]:
    """Every value at the path; nothing when a part is missing or an empty text. Repeated parts give one value each."""
    if not path:
        yield from _plain(message)
        return
    if isinstance(message, dict):
        yield from _of_mapping(message, path)
    elif isinstance(message, list):
        for item in message:
            yield from values(item, path)
    elif hasattr(message, "DESCRIPTOR"):
        yield from _of_message(message, path)


def _of_mapping(mapping: Any, path: Sequence[str]) -> Iterator[Any]:
    """A key may hold dots, quoted as one part or not."""
    for length in range(1, len(path) + 1):
        key = ".".join(path[:length])
        if key in mapping:
            yield from values(mapping[key], path[length:])
            return


def _of_message(message: Any, path: Sequence[str]) -> Iterator[Any]:
    kind = message.DESCRIPTOR.full_name
    if kind in (STRUCT, ANY):
        yield from _of_mapping(json_format.MessageToDict(message), path)
        return
    field = find_field(message.DESCRIPTOR, path[0])
    if field is None:
        return
    content = getattr(message, field.name)
    if _is_map(field):
        yield from _of_mapping(content, path[1:]) if path[1:] else _keys_and_values(content)
    elif field.is_repeated:
        for item in content:
            yield from values(_typed(field, item), path[1:])
    elif message.HasField(field.name) if field.has_presence else content != "":
        yield from values(_typed(field, content), path[1:])


def _keys_and_values(mapping: Any) -> Iterator[str]:
    for key, value in mapping.items():
        yield str(key)
        yield str(value)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _typed(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        numbers = {item.name: item.number for item in field.enum_type.values}
        known = field.enum_type.values_by_number.get(value)
        return Choice(value, known.name if known else str(value), numbers)
    return value


def _plain(value: Any) -> Iterator[Any]:
    """A value to compare; of a message, all that it holds."""
    if not hasattr(value, "DESCRIPTOR"):
        yield from _leaves(value)
    elif value.DESCRIPTOR.full_name in TIME:
        yield Moment(value.seconds * 10**9 + value.nanos)
    elif value.DESCRIPTOR.full_name in (STRUCT, ANY, VALUE, LIST):
        yield from _leaves(json_format.MessageToDict(value))
    else:
        for field, content in value.ListFields():
            if _is_map(field):
                yield from _keys_and_values(content)
                continue
            for item in content if field.is_repeated else [content]:
                yield from _plain(_typed(field, item))


def _leaves(value: Any) -> Iterator[Any]:
    """What JSON holds at its ends."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value
