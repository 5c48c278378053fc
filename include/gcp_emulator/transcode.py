"""Fills a request message from path, query and body, as https://google.aip.dev/127 says."""

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.routes import Found

SYSTEM_PARAMETERS = {"$alt", "alt", "key", "prettyPrint", "quotaUser", "access_token", "uploadType", "fields"}


def fill(message: Any, found: Found, query: Iterable[tuple[str, str]], body: bytes) -> None:
    """InvalidArgument when something does not fit the message."""
    try:
        if found.rule.body:
            _read_body(message, found.rule.body, body)
        json_format.ParseDict(_nested(message.DESCRIPTOR, query), message)
        for path, value in found.fields.items():
            *parents, last = path.split(".")
            target = message
            for parent in parents:
                target = getattr(target, parent)
            setattr(target, last, value)
    except (json_format.ParseError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from error


def _read_body(message: Any, field: str, body: bytes) -> None:
    content = json.loads(body or b"{}")
    if not isinstance(content, dict):
        raise TypeError("The body must be a JSON object.")
    target = message if field == "*" else getattr(message, field)
    json_format.ParseDict(content, target)
    if field != "*":
        target.SetInParent()


def _nested(descriptor: Descriptor, query: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a.b=1&a.b=2` -> {"a": {"b": [...]}}, with values in the form that protobuf's JSON reader takes."""
    result: dict[str, Any] = {}
    for path, text in query:
        if path in SYSTEM_PARAMETERS:
            continue
        field, target = None, result
        within: Descriptor | None = descriptor
        *parents, last = path.split(".")
        for parent in parents:
            field = _field(within, parent, path)
            target = target.setdefault(field.name, {})
            within = field.message_type
        field = _field(within, last, path)
        value = _value(field, text)
        if field.is_repeated:
            target.setdefault(field.name, []).append(value)
        else:
            target[field.name] = value
    return result


def _field(descriptor: Descriptor | None, name: str, path: str) -> FieldDescriptor:
    field = None
    if descriptor is not None:
        field = descriptor.fields_by_camelcase_name.get(name) or descriptor.fields_by_name.get(name)
    if field is None:
        raise InvalidArgument(
            f'Invalid JSON payload received. Unknown name "{path}": Cannot bind query parameter.'
        )
    return field


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        word = text.lower()  # gcloud writes True
        if word not in ("true", "false"):
            raise InvalidArgument(f"Invalid value at '{field.name}' (TYPE_BOOL), \"{text}\"")
        return word == "true"
    if field.type == FieldDescriptor.TYPE_ENUM and text.lstrip("-").isdigit():
        return int(text)
    return text
