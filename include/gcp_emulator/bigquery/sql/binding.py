"""What DuckDB's binder knows of a query: its columns and their types; and whether a value may go into a column.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules#coercion
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query
from gcp_emulator.bigquery.types import Field, field, sql_type

COERCED: Mapping[str, frozenset[str]] = {
    "INTEGER": frozenset({"NUMERIC", "BIGNUMERIC", "FLOAT"}),
    "NUMERIC": frozenset({"BIGNUMERIC", "FLOAT"}),
    "BIGNUMERIC": frozenset({"FLOAT"}),
    "DATE": frozenset({"DATETIME"}),
}
OF_CONSTANTS: Mapping[str, frozenset[str]] = {
    "STRING": frozenset({"DATE", "DATETIME", "TIME", "TIMESTAMP"}),
    "FLOAT": frozenset({"NUMERIC", "BIGNUMERIC"}),
    "NUMERIC": frozenset({"NUMERIC", "BIGNUMERIC"}),
}


def columns(cursor: duckdb.DuckDBPyConnection, text: str) -> list[tuple[str, Any]]:
    """Names, also equal ones, and DuckDB types of a query that does not run."""
    relation = cursor.sql(text)
    return list(zip(relation.columns, relation.types, strict=True))


def fields(cursor: duckdb.DuckDBPyConnection, text: str) -> list[Field]:
    return [field(name, kind) for name, kind in columns(cursor, text)]


def check(found: Sequence[tuple[str, Any]], wanted: Sequence[Field], constants: Sequence[bool]) -> None:
    """Refusal for a value that BigQuery does not coerce to its column's type; DuckDB would cast it."""
    if len(found) != len(wanted):
        raise invalid_query(f"Inserted row has wrong column count; Has {len(found)}, expected {len(wanted)}")
    for at, ((_, kind), column, constant) in enumerate(zip(found, wanted, constants, strict=True), 1):
        if '"NULL"' in str(kind) or "TUPLE(" in str(kind) or not column.get("type"):
            continue
        given = field("", kind)
        if not _fits(given, column, constant):
            raise invalid_query(
                f"Query column {at} has type {sql_type(given)} which cannot be inserted into column "
                f"{column['name']}, which has type {sql_type(column)}"
            )


def assignable(known: Field, wanted: Field) -> bool:
    """Whether a column may become one of another type."""
    return _fits(known, wanted, constant=False)


def fits(given: Any, wanted: Any, constant: bool) -> bool:
    """Whether a value of one DuckDB type is coerced to another."""
    return _fits(field("", given), field("", wanted), constant)


def _fits(given: Field, column: Field, constant: bool) -> bool:
    if (given.get("mode") == "REPEATED") != (column.get("mode") == "REPEATED"):
        return False
    source, target = str(given["type"]), str(column["type"])
    if source == target or target in COERCED.get(source, ()):
        return True
    return (constant or column.get("mode") == "REPEATED") and target in OF_CONSTANTS.get(source, ())


def constant(node: exp.Expression) -> bool:
    """Literals and parameters are coerced to more types than columns are."""
    while isinstance(node, exp.Alias | exp.Paren | exp.Neg):
        node = node.this
    return isinstance(node, exp.Literal | exp.RawString | exp.Parameter | exp.Null)
