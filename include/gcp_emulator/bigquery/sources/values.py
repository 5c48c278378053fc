"""Text as a value of a column: BigQuery's rules for load jobs, which DuckDB's casts do not have.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-csv#data_types and, for JSON,
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-json#details_of_loading_json_data.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.types import SPELLING, STANDARD, duck_type, literal


def scalar(text: str, field: Mapping[str, Any]) -> str:
    """DuckDB's expression for the value that the text expression stands for; it fails where there is none."""
    kind = SPELLING.get(field["type"], field["type"])
    if kind in ("STRING", "GEOGRAPHY"):
        return text
    if kind not in CONVERSIONS:
        raise errors.unsupported(f"load jobs into columns of type {kind}")
    made = CONVERSIONS[kind](text, duck_type({**field, "mode": "NULLABLE"}))
    told = f"Could not parse '%s' as {STANDARD.get(kind, kind)} for field {field['name']}"
    return f"CASE WHEN {text} IS NOT NULL THEN coalesce({made}, error(printf({literal(told)}, {text}))) END"


def _cast(text: str, kind: str) -> str:
    return f"TRY_CAST(trim({text}) AS {kind})"


def _integer(text: str, kind: str) -> str:
    whole = rf"CASE WHEN regexp_full_match({text}, '\s*[-+]?[0-9]+(\.0*)?\s*') THEN trim({text}) END"
    return rf"TRY_CAST(regexp_replace({whole}, '\.0*$', '') AS {kind})"


def _boolean(text: str, kind: str) -> str:
    true, false = "('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')"
    word = f"lower(trim({text}))"
    return f"CASE WHEN {word} IN {true} THEN true WHEN {word} IN {false} THEN false END"


def _date(text: str, kind: str) -> str:
    return rf"TRY_CAST(CASE WHEN regexp_full_match({text}, '\d{{4}}-\d{{1,2}}-\d{{1,2}}') THEN {text} END AS DATE)"


def _timestamp(text: str, kind: str) -> str:
    number = rf"regexp_full_match({text}, '[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?')"
    micros = f"make_timestamptz(CAST(round(CAST(TRY_CAST({text} AS DOUBLE) AS DECIMAL(38,9)) * 1000000) AS BIGINT))"
    zoned = rf"TRY_CAST(regexp_replace(trim({text}), '(\s*UTC|Z)$', '+00') AS {kind})"
    return f"CASE WHEN {number} THEN {micros} ELSE {zoned} END"


CONVERSIONS: Mapping[str, Callable[[str, str], str]] = {
    "INTEGER": _integer,
    "FLOAT": _cast,
    "NUMERIC": _cast,
    "BIGNUMERIC": _cast,
    "BOOLEAN": _boolean,
    "BYTES": lambda text, kind: f"TRY(from_base64({text}))",
    "DATE": _date,
    "TIME": _cast,
    "DATETIME": _cast,
    "TIMESTAMP": _timestamp,
    "JSON": lambda text, kind: f"TRY_CAST({text} AS JSON)",
}


def of_json(value: str, field: Mapping[str, Any], depth: int = 0) -> str:
    """The same for an expression that is a JSON value; `depth`: how many lambdas are around it."""
    name, one = field["name"], {**field, "mode": "NULLABLE"}
    missing = f"({value} IS NULL OR json_type({value}) = 'NULL')"
    if field.get("mode") == "REPEATED":
        each = of_json(f"x{depth}", one, depth + 1)
        made = f"list_transform(from_json({value}, '[\"JSON\"]'), lambda x{depth}: {each})"
        wrong = _failure(f"Nonarray value for repeated field: {name}", value)
        array = f"json_type({value}) = 'ARRAY'"
        return f"CASE WHEN {missing} THEN [] WHEN {array} THEN {made} ELSE {wrong} END"
    if field["type"] == "JSON":
        inner = f"({value} ->> '$')"
        text = f"json_type({value}) = 'VARCHAR' AND json_valid({inner})"
        return f"CASE WHEN {text} THEN CAST({inner} AS JSON) WHEN NOT {missing} THEN {value} END"
    if field["type"] in ("RECORD", "STRUCT"):
        return f"CASE WHEN {missing} THEN NULL ELSE {_record(value, field, depth)} END"
    wrong = _failure(f"Array or record specified for scalar field: {name}", value)
    plain = scalar(f"({value} ->> '$')", field)
    return f"CASE WHEN json_type({value}) IN ('ARRAY', 'OBJECT') THEN {wrong} ELSE {plain} END"


def _record(value: str, field: Mapping[str, Any], depth: int) -> str:
    children = field["fields"]
    known = "[" + ", ".join(literal(child["name"]) for child in children) + "]"
    extra = f"list_filter(json_keys({value}), lambda x{depth}: NOT list_contains({known}, x{depth}))"
    parts = ", ".join(
        f"{literal(child['name'])}: {of_json(_member(value, child['name']), child, depth)}"
        for child in children
    )
    unknown = f"error('No such field: ' || {literal(field['name'])} || '.' || {extra}[1])"
    made = f"CAST({{{parts}}} AS {duck_type({**field, 'mode': 'NULLABLE'})})"
    return f"CASE WHEN len({extra}) > 0 THEN {unknown} ELSE {made} END"


def _member(value: str, name: str) -> str:
    path = '$."' + name.replace('"', '\\"') + '"'
    return f"({value} -> {literal(path)})"


def _failure(message: str, value: str) -> str:
    """Names the value only so that DuckDB does not find the error before there are rows."""
    return f"error({literal(message)} || left(CAST({value} AS VARCHAR), 0))"
