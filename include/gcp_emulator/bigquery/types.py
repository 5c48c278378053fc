"""BigQuery's column types as DuckDB's and back.

A field is the REST resource: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema, in the
spelling of its answers (INTEGER, FLOAT, BOOLEAN, RECORD).
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from gcp_emulator.json_api import Refusal

Field: TypeAlias = dict[str, Any]

SPELLING: Mapping[str, str] = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
STANDARD: Mapping[str, str] = {answer: standard for standard, answer in SPELLING.items()}
SCALE = {"NUMERIC": 9, "BIGNUMERIC": 18}  # DuckDB's decimals end at 38 digits: a BIGNUMERIC keeps 20.18
DUCKDB: Mapping[str, str] = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
    "GEOGRAPHY": "VARCHAR",
    "INTERVAL": "INTERVAL",
    "NUMERIC": "DECIMAL(38,9)",
    "BIGNUMERIC": "DECIMAL(38,18)",
}
BIGQUERY: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "tinyint": "INTEGER",
    "smallint": "INTEGER",
    "integer": "INTEGER",
    "bigint": "INTEGER",
    "hugeint": "INTEGER",
    "utinyint": "INTEGER",
    "usmallint": "INTEGER",
    "uinteger": "INTEGER",
    "ubigint": "INTEGER",
    "uhugeint": "INTEGER",
    "float": "FLOAT",
    "double": "FLOAT",
    "varchar": "STRING",
    "uuid": "STRING",
    "enum": "STRING",
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "DATETIME",
    "timestamp_s": "DATETIME",
    "timestamp_ms": "DATETIME",
    "timestamp_ns": "DATETIME",
    "timestamp with time zone": "TIMESTAMP",
    "interval": "INTERVAL",
    "null": "INTEGER",  # SELECT NULL is an INT64 in GoogleSQL
}


def quoted(*names: str) -> str:
    """A DuckDB identifier of these parts."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A DuckDB string."""
    return "'" + text.replace("'", "''") + "'"


def normal(field: Mapping[str, Any]) -> Field:
    """A field of a request as answers spell it, subfields included; Refusal if its type is none of BigQuery's."""
    if not field.get("name"):
        raise Refusal(400, "invalid", "Schema field is missing a name.")
    kind = str(field.get("type") or "").upper()
    kind = SPELLING.get(kind, kind)
    if kind not in DUCKDB and kind != "RECORD":
        raise Refusal(
            400, "invalid", f"Invalid value for type: {field.get('type')} is not a valid value", field["name"]
        )
    mode = str(field.get("mode") or "NULLABLE").upper()
    made = {**field, "type": kind, "mode": mode}
    if kind == "RECORD":
        if not field.get("fields"):
            raise Refusal(400, "invalid", f"Field {field['name']} is type RECORD but has no schema")
        made["fields"] = [normal(child) for child in field["fields"]]
    return made


def duck_type(field: Mapping[str, Any]) -> str:
    """The DuckDB type that holds a field's values."""
    kind = str(field["type"]).upper()
    kind = SPELLING.get(kind, kind)
    if kind == "RECORD":
        children = ", ".join(f"{quoted(child['name'])} {duck_type(child)}" for child in field["fields"])
        made = f"STRUCT({children})"
    elif kind in SCALE and field.get("precision"):
        scale = min(int(field.get("scale") or 0), SCALE[kind])
        made = f"DECIMAL({min(int(field['precision']), 38)},{scale})"
    elif kind in DUCKDB:
        made = DUCKDB[kind]
    else:
        raise Refusal(400, "invalid", f"Invalid value for type: {field['type']} is not a valid value")
    return f"{made}[]" if field.get("mode") == "REPEATED" else made


def column(field: Mapping[str, Any]) -> str:
    """A field as a column in DuckDB's CREATE TABLE."""
    required = " NOT NULL" if field.get("mode") == "REQUIRED" else ""
    return f"{quoted(field['name'])} {duck_type(field)}{required}"


def field(name: str, duckdb_type: Any, *, nullable: bool = True) -> Field:
    """The field of a DuckDB column; `duckdb_type` is the type object of a cursor's description."""
    kind = duckdb_type.id
    if kind in ("list", "array"):
        return {**field(name, dict(duckdb_type.children)["child"]), "mode": "REPEATED"}
    made: Field = {"name": name, "mode": "NULLABLE" if nullable else "REQUIRED"}
    if kind == "struct":
        return {**made, "type": "RECORD", "fields": [field(child, of) for child, of in duckdb_type.children]}
    if kind == "decimal":
        wide = dict(duckdb_type.children)["scale"] > SCALE["NUMERIC"]
        return {**made, "type": "BIGNUMERIC" if wide else "NUMERIC"}
    if str(duckdb_type) == "JSON":
        return {**made, "type": "JSON"}
    if kind not in BIGQUERY:
        raise Refusal(400, "invalidQuery", f"Column {name} has no BigQuery type here: {duckdb_type}.")
    return {**made, "type": BIGQUERY[kind]}


def described(description: Iterable[Any]) -> list[Field]:
    """The fields of a cursor's description."""
    return [field(name, kind) for name, kind, *_ in description]


def sql_type(field: Mapping[str, Any]) -> str:
    """GoogleSQL's name of a field's type, as INFORMATION_SCHEMA.COLUMNS.data_type has it."""
    kind = str(field["type"]).upper()
    kind = STANDARD.get(kind, kind)
    if kind == "STRUCT":
        children = ", ".join(f"{child['name']} {sql_type(child)}" for child in field["fields"])
        kind = f"STRUCT<{children}>"
    elif field.get("precision"):
        scale = f", {field['scale']}" if field.get("scale") else ""
        kind = f"{kind}({field['precision']}{scale})"
    elif field.get("maxLength"):
        kind = f"{kind}({field['maxLength']})"
    return f"ARRAY<{kind}>" if field.get("mode") == "REPEATED" else kind
