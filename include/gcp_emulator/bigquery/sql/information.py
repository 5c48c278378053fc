"""INFORMATION_SCHEMA and __TABLES__: relations made of the catalogue's resources.

https://cloud.google.com/bigquery/docs/information-schema-intro
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gcp_emulator.bigquery.errors import unsupported
from gcp_emulator.bigquery.sql.names import Names, Resource
from gcp_emulator.bigquery.types import literal, quoted, sql_type

S, N, B, T = "VARCHAR", "BIGINT", "BOOLEAN", "TIMESTAMPTZ"
Row = dict[str, Any]
Rows = Callable[[Names, list[Resource], list[Resource]], Iterator[Row]]

TABLE = {"table_catalog": S, "table_schema": S, "table_name": S}
COLUMNS: Mapping[str, dict[str, str]] = {
    "SCHEMATA": {"catalog_name": S, "schema_name": S, "schema_owner": S, "creation_time": T, "last_modified_time": T,
                 "location": S, "ddl": S},
    "SCHEMATA_OPTIONS": {"catalog_name": S, "schema_name": S, "option_name": S, "option_type": S, "option_value": S},
    "TABLES": {**TABLE, "table_type": S, "managed_table_type": S, "is_insertable_into": S, "is_typed": S,
               "creation_time": T, "base_table_catalog": S, "base_table_schema": S, "base_table_name": S,
               "snapshot_time_ms": T, "ddl": S, "default_collation_name": S},
    "COLUMNS": {**TABLE, "column_name": S, "ordinal_position": N, "is_nullable": S, "data_type": S, "is_generated": S,
                "generation_expression": S, "is_stored": S, "is_hidden": S, "is_updatable": S,
                "is_system_defined": S, "is_partitioning_column": S, "clustering_ordinal_position": N,
                "collation_name": S, "column_default": S, "rounding_mode": S},
    "COLUMN_FIELD_PATHS": {**TABLE, "column_name": S, "field_path": S, "data_type": S, "description": S,
                           "collation_name": S, "rounding_mode": S},
    "TABLE_OPTIONS": {**TABLE, "option_name": S, "option_type": S, "option_value": S},
    "TABLE_STORAGE": {"project_id": S, "project_number": N, **TABLE, "creation_time": T, "total_rows": N,
                      "total_partitions": N, "total_logical_bytes": N, "active_logical_bytes": N,
                      "long_term_logical_bytes": N, "storage_last_modified_time": T, "deleted": B, "table_type": S},
    "VIEWS": {**TABLE, "view_definition": S, "check_option": S, "use_standard_sql": S},
    "MATERIALIZED_VIEWS": {**TABLE, "last_refresh_time": T, "refresh_watermark": T, "last_refresh_status": S},
    "PARTITIONS": {**TABLE, "partition_id": S, "total_rows": N, "total_logical_bytes": N, "last_modified_time": T,
                   "storage_tier": S},
    "OBJECT_PRIVILEGES": {"object_catalog": S, "object_schema": S, "object_name": S, "object_type": S,
                          "privilege_type": S, "grantee": S},
    "KEY_COLUMN_USAGE": {"constraint_catalog": S, "constraint_schema": S, "constraint_name": S, **TABLE,
                         "column_name": S, "ordinal_position": N, "position_in_unique_constraint": N},
    "TABLE_CONSTRAINTS": {"constraint_catalog": S, "constraint_schema": S, "constraint_name": S, **TABLE,
                          "constraint_type": S, "is_deferrable": S, "initially_deferred": S, "enforced": S},
    "ROUTINES": {"specific_catalog": S, "specific_schema": S, "specific_name": S, "routine_catalog": S,
                 "routine_schema": S, "routine_name": S, "routine_type": S},
    "JOBS": {"creation_time": T, "project_id": S, "user_email": S, "job_id": S, "job_type": S, "statement_type": S,
             "start_time": T, "end_time": T, "query": S, "state": S, "total_bytes_processed": N},
    "__TABLES__": {"project_id": S, "dataset_id": S, "table_id": S, "creation_time": N, "last_modified_time": N,
                   "row_count": N, "size_bytes": N, "type": N},
}  # fmt: skip
KINDS = {"TABLE": "BASE TABLE", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}
SAME = {"JOBS_BY_PROJECT": "JOBS", "JOBS_BY_USER": "JOBS", "TABLE_STORAGE_BY_PROJECT": "TABLE_STORAGE"}


def wanted(path: list[str]) -> bool:
    return path[-1].upper() == "__TABLES__" or any(part.upper() == "INFORMATION_SCHEMA" for part in path)


def relation(path: list[str], names: Names) -> str:
    """A DuckDB relation with the view's rows; Refusal for a view that is not kept."""
    view = path[-1].upper()
    view = SAME.get(view, view)
    if view not in COLUMNS:
        raise unsupported(f"INFORMATION_SCHEMA.{path[-1].upper()}")
    before = [part for part in path[:-1] if part.upper() != "INFORMATION_SCHEMA"]
    project, dataset = _place(before, names)
    catalog = names.catalog
    datasets = [catalog.need_dataset(project, dataset)] if dataset else list(catalog.datasets(project))
    tables: list[Resource] = []
    if view not in ("SCHEMATA", "SCHEMATA_OPTIONS", "JOBS", "ROUTINES"):
        for each in datasets:
            tables += names.catalog.tables(project, each["datasetReference"]["datasetId"])
    if view == "JOBS":
        datasets = list(getattr(names.catalog, "jobs", lambda _: [])(project))
    return _values(COLUMNS[view], list(ROWS[view](names, datasets, tables)))


def _place(before: list[str], names: Names) -> tuple[str, str]:
    """Project and dataset, "" for all of a region's."""
    if before and before[-1].lower().startswith("region-"):
        return (before[0] if len(before) > 1 else names.project), ""
    if len(before) > 1:
        return before[-2], before[-1]
    if before:
        return names.project, before[0]
    return names.default_dataset or (names.project, "")


def _values(columns: Mapping[str, str], rows: list[Row]) -> str:
    listed = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in columns.items())
    if not rows:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in columns.items())
        return f"(SELECT {empty} WHERE false)"
    made = ", ".join("(" + ", ".join(_cell(row.get(name)) for name in columns) + ")" for row in rows)
    return f"(SELECT {listed} FROM (VALUES {made}) AS r({', '.join(map(quoted, columns))}))"


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    return literal(str(value))


def _moment(millis: Any) -> str | None:
    return datetime.fromtimestamp(int(millis) / 1000, UTC).isoformat() if millis not in (None, "") else None


def _reference(table: Resource) -> Row:
    name = table["tableReference"]
    return {
        "table_catalog": name["projectId"],
        "table_schema": name["datasetId"],
        "table_name": name["tableId"],
    }


def _fields(table: Resource) -> list[dict[str, Any]]:
    return list(table.get("schema", {}).get("fields", ()))


def _schemata(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in datasets:
        name = each["datasetReference"]
        yield {
            "catalog_name": name["projectId"],
            "schema_name": name["datasetId"],
            "creation_time": _moment(each.get("creationTime")),
            "last_modified_time": _moment(each.get("lastModifiedTime")),
            "location": each.get("location"),
        }


def _options(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """Name, type and GoogleSQL text of the options that a resource has."""
    for key, option in (("description", "description"), ("friendlyName", "friendly_name")):
        if resource.get(key):
            yield option, "STRING", f'"{resource[key]}"'
    if labels := resource.get("labels"):
        pairs = ", ".join(f'STRUCT("{key}", "{value}")' for key, value in labels.items())
        yield "labels", "ARRAY<STRUCT<STRING, STRING>>", f"[{pairs}]"
    if end := resource.get("expirationTime"):
        yield "expiration_timestamp", "TIMESTAMP", f'TIMESTAMP "{_moment(end)}"'
    if resource.get("requirePartitionFilter"):
        yield "require_partition_filter", "BOOL", "true"
    if life := (resource.get("timePartitioning") or {}).get("expirationMs"):
        yield "partition_expiration_days", "FLOAT64", str(int(life) / 86_400_000)


def _schemata_options(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each, row in zip(datasets, _schemata(names, datasets, tables), strict=True):
        for option, kind, value in _options(each):
            yield {**row, "option_name": option, "option_type": kind, "option_value": value}


def _table_options(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        for option, kind, value in _options(each):
            yield {**_reference(each), "option_name": option, "option_type": kind, "option_value": value}


def _tables(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        kind = str(each.get("type", "TABLE"))
        yield {
            **_reference(each),
            "table_type": KINDS.get(kind, kind),
            "managed_table_type": "NATIVE" if kind == "TABLE" else None,
            "is_insertable_into": "YES" if kind == "TABLE" else "NO",
            "is_typed": "NO",
            "creation_time": _moment(each.get("creationTime")),
            "default_collation_name": "NULL",
        }


def _columns(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        clustered = (each.get("clustering") or {}).get("fields") or []
        partitioned = (each.get("timePartitioning") or each.get("rangePartitioning") or {}).get("field")
        for at, field in enumerate(_fields(each), 1):
            yield {
                **_reference(each),
                "column_name": field["name"],
                "ordinal_position": at,
                "is_nullable": "NO" if field.get("mode") == "REQUIRED" else "YES",
                "data_type": sql_type(field),
                "is_generated": "NEVER",
                "is_hidden": "NO",
                "is_system_defined": "NO",
                "is_partitioning_column": "YES" if field["name"] == partitioned else "NO",
                "clustering_ordinal_position": clustered.index(field["name"]) + 1
                if field["name"] in clustered
                else None,
                "collation_name": "NULL",
                "column_default": field.get("defaultValueExpression") or "NULL",
            }


def _paths(field: dict[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    path = f"{before}{field['name']}"
    yield path, field
    for child in field.get("fields") or ():
        yield from _paths(child, f"{path}.")


def _field_paths(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        for field in _fields(each):
            for path, inner in _paths(field):
                yield {
                    **_reference(each),
                    "column_name": field["name"],
                    "field_path": path,
                    "data_type": sql_type(inner),
                    "description": inner.get("description"),
                    "collation_name": "NULL",
                }


def _storage(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        name = _reference(each)
        yield {
            **name,
            "project_id": name["table_catalog"],
            "creation_time": _moment(each.get("creationTime")),
            "total_rows": int(each.get("numRows") or 0),
            "total_partitions": 0,
            "total_logical_bytes": int(each.get("numBytes") or 0),
            "active_logical_bytes": int(each.get("numBytes") or 0),
            "long_term_logical_bytes": 0,
            "storage_last_modified_time": _moment(each.get("lastModifiedTime")),
            "deleted": False,
            "table_type": KINDS.get(str(each.get("type")), str(each.get("type"))),
        }


def _views(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        if view := each.get("view"):
            yield {**_reference(each), "view_definition": view["query"], "use_standard_sql": "YES"}


def _materialized(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        if each.get("materializedView"):
            yield {**_reference(each), "last_refresh_time": _moment(each.get("lastModifiedTime"))}


def _partitions(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        if each.get("timePartitioning") or each.get("rangePartitioning"):
            raise unsupported("INFORMATION_SCHEMA.PARTITIONS of partitioned tables")
        if str(each.get("type", "TABLE")) == "TABLE":
            yield {
                **_reference(each),
                "total_rows": int(each.get("numRows") or 0),
                "total_logical_bytes": int(each.get("numBytes") or 0),
                "last_modified_time": _moment(each.get("lastModifiedTime")),
                "storage_tier": "ACTIVE",
            }


def _jobs(names: Names, jobs: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in jobs:
        statistics, configuration = each.get("statistics", {}), each.get("configuration", {})
        yield {
            "creation_time": _moment(statistics.get("creationTime")),
            "project_id": each.get("jobReference", {}).get("projectId"),
            "user_email": each.get("user_email"),
            "job_id": each.get("jobReference", {}).get("jobId"),
            "job_type": configuration.get("jobType"),
            "statement_type": statistics.get("query", {}).get("statementType"),
            "start_time": _moment(statistics.get("startTime")),
            "end_time": _moment(statistics.get("endTime")),
            "query": configuration.get("query", {}).get("query"),
            "state": each.get("status", {}).get("state"),
            "total_bytes_processed": int(statistics.get("totalBytesProcessed") or 0),
        }


def _legacy(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    for each in tables:
        name = each["tableReference"]
        yield {
            "project_id": name["projectId"],
            "dataset_id": name["datasetId"],
            "table_id": name["tableId"],
            "creation_time": int(each.get("creationTime") or 0),
            "last_modified_time": int(each.get("lastModifiedTime") or each.get("creationTime") or 0),
            "row_count": int(each.get("numRows") or 0),
            "size_bytes": int(each.get("numBytes") or 0),
            "type": 2 if each.get("type") == "VIEW" else 1,
        }


def _none(names: Names, datasets: list[Resource], tables: list[Resource]) -> Iterator[Row]:
    return iter(())


ROWS: Mapping[str, Rows] = {
    "SCHEMATA": _schemata,
    "SCHEMATA_OPTIONS": _schemata_options,
    "TABLES": _tables,
    "COLUMNS": _columns,
    "COLUMN_FIELD_PATHS": _field_paths,
    "TABLE_OPTIONS": _table_options,
    "TABLE_STORAGE": _storage,
    "VIEWS": _views,
    "MATERIALIZED_VIEWS": _materialized,
    "PARTITIONS": _partitions,
    "OBJECT_PRIVILEGES": _none,  # GRANT is accepted and not kept
    "KEY_COLUMN_USAGE": _none,
    "TABLE_CONSTRAINTS": _none,
    "ROUTINES": _none,
    "JOBS": _jobs,
    "__TABLES__": _legacy,
}
