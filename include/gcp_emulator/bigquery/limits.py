"""What no column may hold and DuckDB does not mind: NULL in an array, more than a length.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#array_nulls and #parameterized_data_types
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.types import Field, quoted


def held(cursor: duckdb.DuckDBPyConnection, name: Sequence[str], fields: Sequence[Field]) -> None:
    """Refusal where a table has what its columns may not hold."""
    tests = list(_tests(fields))
    if not tests:
        return
    counted = ", ".join(f"bool_or({test})" for test, _ in tests)
    row = cursor.execute(f"SELECT {counted} FROM {quoted(*name)}").fetchone() or ()
    for broken, (_, message) in zip(row, tests, strict=False):
        if broken:
            raise errors.invalid_query(message)


def given(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> None:
    """The same of a query's rows, for arrays."""
    for field, at in ((field, at) for at, field in enumerate(fields) if _arrays(field)):
        for row in rows:
            _element(row[at], field, field["name"])


def _tests(fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    for field in fields:
        column = quoted(field["name"])
        if field.get("mode") == "REPEATED":
            yield f"list_count({column}) < len({column})", _no_null(field["name"])
        elif longest := field.get("maxLength"):
            size = "octet_length" if field["type"] == "BYTES" else "length"
            kind = f"{field['type']}({longest})"
            yield (
                f"{size}({column}) > {int(longest)}",
                f"Field {field['name']}: {kind} has maximum length {longest}",
            )


def _arrays(field: Mapping[str, Any]) -> bool:
    return field.get("mode") == "REPEATED" or any(map(_arrays, field.get("fields") or ()))


def _element(value: Any, field: Field, name: str) -> None:
    if value is None or not _arrays(field):
        return
    for each in value if field.get("mode") == "REPEATED" else [value]:
        if each is None:
            raise errors.invalid_query(_no_null(name))
        for child in field.get("fields") or ():
            _element(each[child["name"]], child, name)


def _no_null(name: str) -> str:
    return f"Array cannot have a null element; error in writing field {name}"
