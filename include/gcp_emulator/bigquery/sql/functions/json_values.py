"""JSON: numbers keep their text, paths are Google's JSONPath without wildcards.

https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions
"""

import base64
import json
import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from gcp_emulator.bigquery.sql.functions.numbers import float_text
from gcp_emulator.bigquery.sql.functions.udf import Fault, Udf

STEP = re.compile(
    r"\.([A-Za-z0-9_\-]+|\"(?:[^\"\\]|\\.)*\")|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
)


class Number(str):
    """A number's own text."""


class _Missing:
    pass


MISSING = _Missing()


class Doubled(Fault):
    """Two members of one name: which of them Google keeps is not documented."""


def _members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Doubled("A JSON object with two members of one name is not supported by the emulator")
    return made


def _no_constant(text: str) -> Any:
    raise json.JSONDecodeError("not a JSON number", text, 0)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members_of,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_no_constant,
    strict=False,
)
_OWN = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=Number, strict=False
)  # to_json's


def loaded(text: str) -> Any:
    """Parsed, numbers as they were written; MISSING where it is no JSON."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        return MISSING


def dumped(value: Any) -> str:
    """Compact, members in their order."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{dumped(of)}" for key, of in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(dumped, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=512)
def steps(path: str) -> tuple[str | int, ...]:
    """A JSONPath's steps; Fault where it is none."""
    if not path.startswith("$"):
        raise Fault(f"JSONPath must start with '$': {path}")
    made: list[str | int] = []
    at = 1
    while at < len(path):
        found = STEP.match(path, at)
        if not found:
            raise Fault(f"Invalid token in JSONPath at: {path[at:]}")
        if found[2] is not None:
            made.append(int(found[2]))
        else:
            name = next(part for part in (found[1], found[3], found[4]) if part is not None)
            made.append(name.strip('"'))
        at = found.end()
    return tuple(made)


def walked(text: str, path: str) -> Any:
    value = loaded(text)
    for step in steps(path):
        if isinstance(step, int) and isinstance(value, list):
            value = value[step] if step < len(value) else MISSING
        elif isinstance(value, dict):
            value = value.get(str(step), MISSING)
        else:
            return MISSING
    return value


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None


def _value(text: str, path: str) -> str | None:
    return _scalar(walked(text, path))


def _query(text: str, path: str) -> str | None:
    value = walked(text, path)
    return None if value is MISSING or value is None else dumped(value)


def _query_json(text: str, path: str) -> str | None:
    """Of a JSON: its null is a value."""
    value = walked(text, path)
    return None if value is MISSING else dumped(value)


def _array(text: str, path: str) -> list[str] | None:
    value = walked(text, path)
    return [dumped(item) for item in value] if isinstance(value, list) else None


def _values(text: str, path: str) -> list[str | None] | None:
    value = walked(text, path)
    if not isinstance(value, list) or any(isinstance(item, list | dict) for item in value):
        return None
    return [_scalar(item) for item in value]


def normal(value: Any, mode: str = "exact") -> Any:
    """As a JSON column keeps it: members in the order of their names, numbers normalised."""
    if isinstance(value, Number):
        return number(value, mode)
    if isinstance(value, dict):
        return {key: normal(value[key], mode) for key in sorted(value)}
    return [normal(item, mode) for item in value] if isinstance(value, list) else value


def number(text: Number, mode: str) -> Number:
    if re.fullmatch(r"-?\d+", text) and -(2**63) <= int(text) < 2**64:
        return Number(int(text))
    made = float(text)
    if mode == "exact" and math.isfinite(made) and Decimal(float_text(made)) != Decimal(text):
        raise Fault(f"Invalid input to PARSE_JSON: {text} does not fit a FLOAT64")
    written = float_text(made)
    return Number(written if re.search(r"[.en]", written) else f"{written}.0")


def _parse(text: str, mode: str) -> str:
    value = loaded(text)
    if value is MISSING:
        raise Fault(f"Invalid input to PARSE_JSON: syntax error in {text[:60]!r}")
    return dumped(normal(value, mode))


def _safe_parse(text: str) -> str | None:
    try:
        return _parse(text, "exact")
    except Doubled:
        raise
    except Fault:
        return None


def _type(text: str) -> str:
    value = loaded(text)
    if isinstance(value, Number):
        return "number"
    names = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
    return names[type(value)]


def _strict(text: str, kind: str) -> str | None:
    value = loaded(text)
    right = {
        "string": isinstance(value, str) and not isinstance(value, Number),
        "bool": isinstance(value, bool),
        "int64": isinstance(value, Number) and float(value).is_integer(),
        "float64": isinstance(value, Number),
    }[kind]
    if not right:
        raise Fault(f"The provided JSON input is not {'an' if kind == 'int64' else 'a'} {_word(kind)}")
    if kind == "int64":
        return str(int(value)) if re.fullmatch(r"-?\d+", value) else str(int(float(value)))
    return _scalar(value)


def _word(kind: str) -> str:
    return {"string": "string", "bool": "boolean", "int64": "integer", "float64": "number"}[kind]


def _lax(text: str, kind: str) -> str | None:
    value = loaded(text)
    written = _scalar(value)
    if written is None or kind == "string":
        return written
    if kind == "bool":
        if isinstance(value, Number):
            return "true" if float(value) != 0 else "false"
        return written.lower() if written.lower() in ("true", "false") else None
    if isinstance(value, bool):
        return str(int(value)) if kind == "int64" else None
    try:
        if kind == "float64":
            return repr(float(written))
        number = Decimal(written).quantize(Decimal(1), ROUND_HALF_UP)
    except (ArithmeticError, ValueError):
        return None
    return str(number) if -(2**63) <= number < 2**63 else None


def _item(text: str, key: str | None, at: int | None) -> str | None:
    value = loaded(text)
    if key is not None and isinstance(value, dict) and key in value:
        return dumped(value[key])
    if at is not None and isinstance(value, list) and 0 <= at < len(value):
        return dumped(value[at])
    return None


# What to_json() gave is put into Google's words by the DuckDB type that it came from.


def _members(inner: str) -> list[str]:
    made, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(inner):
        quoted ^= letter == '"'
        depth += (letter == "(") - (letter == ")") if not quoted else 0
        if letter == "," and not depth and not quoted:
            made.append(inner[start:at])
            start = at + 1
    return [*made, inner[start:]]


@lru_cache(maxsize=512)
def worded(kind: str, mode: str) -> Callable[[Any], Any]:
    """What turns to_json's value of this DuckDB type into Google's."""
    kind = kind.strip()
    if kind.endswith("[]"):
        item = worded(kind[:-2], mode)
        return lambda value: [] if value is None else [item(one) for one in value]
    if kind.startswith("STRUCT("):
        members = [
            re.fullmatch(r'\s*("(?:[^"]|"")*"|\S+)\s+(.*)', part, re.DOTALL) for part in _members(kind[7:-1])
        ]
        rules = [worded(found[2], mode) for found in members if found]
        return lambda value: (
            None
            if value is None
            else {key: rule(of) for rule, (key, of) in zip(rules, value.items(), strict=True)}
        )
    rule = _leaf(kind, mode)
    return lambda value: None if value is None else rule(value)


def _leaf(kind: str, mode: str) -> Callable[[Any], Any]:
    if kind == "BLOB":
        return lambda value: base64.b64encode(_unescaped(value)).decode()
    if kind == "DOUBLE":
        return lambda value: _double(float(value), mode)
    if kind.startswith("DECIMAL"):
        return lambda value: _exact(str(value).rstrip("0").rstrip(".") if "." in value else str(value), mode)
    if kind in ("BIGINT", "HUGEINT"):
        return lambda value: value if mode == "json" or abs(int(value)) <= 2**53 else str(value)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return lambda value: _moment(value.removesuffix("+00")) + "Z"
    if kind == "TIMESTAMP":
        return _moment
    if kind in ("VARCHAR", "BOOLEAN", "DATE", "INTEGER", "TIME", '"NULL"'):
        return lambda value: value
    if kind == "JSON":
        return lambda value: value
    raise Fault(f"TO_JSON of {kind} is not supported by the emulator")


def _moment(text: str) -> str:
    day, _, clock = text.partition(" ")
    whole, point, fraction = clock.partition(".")
    return f"{day}T{whole}" + (f".{fraction.ljust(3 if len(fraction) <= 3 else 6, '0')}" if point else "")


def _double(value: float, mode: str) -> Any:
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[float_text(value)]
    text = float_text(value)
    return Number(text if mode != "json" or re.search(r"[.e]", text) else f"{text}.0")


def _exact(text: str, mode: str) -> Any:
    return Number(text) if mode == "json" or float_text(float(text)) == text else text


def _unescaped(text: str) -> bytes:
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())


def _text(text: str | None, kind: str, mode: str) -> str | None:
    if text is None:
        return None if mode == "json" else "null"
    value = worded(kind, "json" if mode == "json" else "text")(_OWN.decode(text))
    if mode == "pretty":
        return json.dumps(_plain(value), indent=2, ensure_ascii=False)
    return dumped(normal(value) if mode == "json" else value)


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: _plain(of) for key, of in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_TEXT2 = ("VARCHAR", "VARCHAR")
FUNCTIONS = {
    "json_value": Udf(_value, _TEXT2, "VARCHAR"),
    "json_query": Udf(_query, _TEXT2, "VARCHAR"),
    "json_query_json": Udf(_query_json, _TEXT2, "VARCHAR"),
    "json_array": Udf(_array, _TEXT2, "VARCHAR[]"),
    "json_values": Udf(_values, _TEXT2, "VARCHAR[]"),
    "json_parse": Udf(_parse, _TEXT2, "VARCHAR"),
    "json_safe_parse": Udf(_safe_parse, ("VARCHAR",), "VARCHAR"),
    "json_type": Udf(_type, ("VARCHAR",), "VARCHAR"),
    "json_scalar": Udf(_strict, _TEXT2, "VARCHAR"),
    "json_lax": Udf(_lax, _TEXT2, "VARCHAR"),
    "json_item": Udf(_item, ("VARCHAR", "VARCHAR", "BIGINT"), "VARCHAR", nulls=True),
    "json_text": Udf(_text, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR", nulls=True),
}
