"""Checks params against the JSON schemas that a DAG gives them, as far as our DAGs use JSON Schema."""

import json
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

Schema = Mapping[str, Any]
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
}
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", "number", lambda v, bound: v >= bound, "is less than {}"),
    ("maximum", "number", lambda v, bound: v <= bound, "is more than {}"),
    ("minLength", "string", lambda v, bound: len(v) >= bound, "is shorter than {} characters"),
    ("maxLength", "string", lambda v, bound: len(v) <= bound, "is longer than {} characters"),
    ("pattern", "string", lambda v, bound: re.search(bound, v) is not None, "does not match {}"),
)


class BadInput(Exception):
    """A param is unknown or has a value that its schema does not allow; the text names it."""


def types(schema: Schema) -> tuple[str, ...]:
    """The types that a schema allows; none: any."""
    given = schema.get("type", ())
    return (given,) if isinstance(given, str) else tuple(given)


def problems(field: str, value: Any, schema: Schema) -> list[str]:
    """What is wrong with a value, each line beginning with the field's name; nothing when it fits."""
    shown = json.dumps(value, ensure_ascii=False)
    allowed = types(schema)
    if allowed and not any(_TYPES[kind](value) for kind in allowed):
        return [f"{field}: {shown} is no {' or '.join(allowed)}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{field}: {shown} is none of {', '.join(map(str, schema['enum']))}")
    for keyword, kind, fits, said in _BOUNDS:
        if keyword in schema and _TYPES[kind](value) and not fits(value, schema[keyword]):
            found.append(f"{field}: {shown} {said.format(schema[keyword])}")
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            found += problems(f"{field}[{n}]", item, schema["items"])
    return found + (_members(field, value, schema) if isinstance(value, dict) else [])


def _members(field: str, value: Mapping[str, Any], schema: Schema) -> list[str]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    found = []
    for name, item in value.items():
        if "propertyNames" in schema:
            found += problems(f"name {name!r} in {field}", name, schema["propertyNames"])
        if name in known:
            found += problems(f"{field}.{name}", item, known[name])
        elif others is False:
            found.append(f"{field}.{name}: unknown field; {_nearest(name, known)}")
        elif isinstance(others, dict):
            found += problems(f"{field}.{name}", item, others)
    return found


def check(given: Mapping[str, Any], params: Mapping[str, Schema]) -> None:
    """Raise BadInput for unknown params and for values that do not fit, all at once."""
    found = [f"{name}: unknown field; {_nearest(name, params)}" for name in given if name not in params]
    for name, value in given.items():
        if name in params:
            found += problems(name, value, params[name])
    if found:
        raise BadInput("\n".join(found))


def read_value(name: str, text: str, params: Mapping[str, Schema]) -> Any:
    """A value from the command line: text where the schema takes text, else JSON."""
    allowed = types(params.get(name, {}))
    if "string" in allowed and not (text == "null" and "null" in allowed):
        return text
    try:
        return json.loads(text)
    except ValueError:
        if allowed and name in params:
            raise BadInput(f"{name}: {text!r} is no {' or '.join(allowed)} (write it as JSON)") from None
        return text


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
