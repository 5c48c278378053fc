"""Query parameters as DuckDB constants: https://cloud.google.com/bigquery/docs/parameterized-queries."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from gcp_emulator.bigquery.errors import invalid, unsupported
from gcp_emulator.bigquery.types import SPELLING, duck_type, literal

POSITION = "__position_"  # a ? becomes @__position_0


def value(parameters: Sequence[Mapping[str, Any]], name: str) -> str:
    """The parameter `name` (or `?`'s position) as SQL; Refusal if the request has none."""
    if name.startswith(POSITION):
        number = int(name.removeprefix(POSITION))
        if number >= len(parameters):
            raise invalid(f"Query parameter number {number + 1} not found", "query")
        found = parameters[number]
    else:
        named = {str(each.get("name", "")).lower(): each for each in parameters}
        if name.lower() not in named:
            raise invalid(f"Query parameter '{name}' not found", "query")
        found = named[name.lower()]
    return constant(found["parameterType"], found.get("parameterValue") or {})


def field(kind: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's type as a REST field."""
    if kind["type"] == "ARRAY":
        return {**field(kind["arrayType"]), "mode": "REPEATED"}
    if kind["type"] == "STRUCT":
        children = [{**field(each["type"]), "name": each["name"]} for each in kind["structTypes"]]
        return {"type": "RECORD", "fields": children, "mode": "NULLABLE"}
    return {"type": SPELLING.get(kind["type"], kind["type"]), "mode": "NULLABLE"}


def constant(kind: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """SQL of one value."""
    made = field(kind)
    if kind["type"] == "ARRAY":
        items = [constant(kind["arrayType"], each) for each in given.get("arrayValues") or ()]
        return f"CAST([{', '.join(items)}] AS {duck_type(made)})"
    if kind["type"] == "STRUCT":
        values = given.get("structValues") or {}
        fields = [
            f"{literal(each['name'])}: {constant(each['type'], values.get(each['name']) or {})}"
            for each in kind["structTypes"]
        ]
        return f"{{{', '.join(fields)}}}" if values else f"CAST(NULL AS {duck_type(made)})"
    text = given.get("value")
    if text is None:
        return f"CAST(NULL AS {duck_type(made)})"
    if made["type"] == "BYTES":
        return f"unhex('{base64.b64decode(text).hex()}')"
    if made["type"] in ("GEOGRAPHY", "INTERVAL", "RANGE"):
        raise unsupported(f"query parameters of the type {made['type']}")
    return f"CAST({literal(str(text))} AS {duck_type(made)})"
