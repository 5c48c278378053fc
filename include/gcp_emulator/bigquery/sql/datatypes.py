"""GoogleSQL's types in a statement: DuckDB's names, the cast to each, and REST fields of column definitions."""

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.types import DUCKDB, SPELLING, Field, quoted

T = exp.DataType.Type
NAME: Mapping[Any, str] = {
    T.BIGINT: "INT64", T.INT: "INT64", T.SMALLINT: "INT64", T.TINYINT: "INT64", T.DOUBLE: "FLOAT64",
    T.FLOAT: "FLOAT64", T.BOOLEAN: "BOOL", T.TEXT: "STRING", T.VARCHAR: "STRING", T.BINARY: "BYTES",
    T.VARBINARY: "BYTES", T.DATE: "DATE", T.TIME: "TIME", T.TIMESTAMP: "DATETIME", T.DATETIME: "DATETIME",
    T.TIMESTAMPTZ: "TIMESTAMP", T.DECIMAL: "NUMERIC", T.BIGDECIMAL: "BIGNUMERIC", T.JSON: "JSON",
    T.INTERVAL: "INTERVAL",
}  # fmt: skip


def name(kind: exp.DataType) -> str:
    """INT64, STRING, ...; Refusal by name for a type that is not kept here."""
    found = NAME.get(kind.this)
    if found is None:
        raise unsupported(f"the type {kind.sql('bigquery')}")
    return found


def duckdb(kind: exp.DataType) -> str:
    """DuckDB's type for the values."""
    if kind.this == T.ARRAY:
        return f"{duckdb(kind.expressions[0])}[]"
    if kind.this == T.STRUCT:
        return f"STRUCT({', '.join(f'{quoted(field)} {duckdb(of)}' for field, of in members(kind))})"
    standard = name(kind)
    return DUCKDB[SPELLING.get(standard, standard)]


def members(kind: exp.DataType) -> list[tuple[str, exp.DataType]]:
    """A struct's fields; those without a name are called as REST answers call them."""
    made = []
    for number, child in enumerate(kind.expressions, 1):
        if isinstance(child, exp.ColumnDef):
            made.append((child.name, child.args["kind"]))
        else:
            made.append((f"_field_{number}", child))
    return made


def field(title: str, kind: exp.DataType) -> Field:
    """A column's REST field."""
    if kind.this == T.ARRAY:
        if kind.expressions[0].this == T.ARRAY:
            raise invalid_query("Arrays of arrays are not supported")
        return {**field(title, kind.expressions[0]), "mode": "REPEATED"}
    made: Field = {"name": title, "mode": "NULLABLE"}
    if kind.this == T.STRUCT:
        children = [_child(child) for child in kind.expressions]
        return {**made, "type": "RECORD", "fields": children}
    standard = name(kind)
    made["type"] = SPELLING.get(standard, standard)
    numbers = [str(part.this) for part in kind.expressions]
    if numbers and standard in ("NUMERIC", "BIGNUMERIC"):
        made |= dict(zip(("precision", "scale"), numbers, strict=False))
    elif numbers:
        made["maxLength"] = numbers[0]
    return made


def _child(node: exp.Expression) -> Field:
    from gcp_emulator.bigquery.sql.options import column

    if not isinstance(node, exp.ColumnDef):
        raise unsupported("a STRUCT column with fields without names")
    return column(node)
