"""https://cloud.google.com/bigquery/docs/reference/rest/v2/tables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gcp_emulator.bigquery import errors, rights, sql
from gcp_emulator.bigquery.catalog import Name, Resource
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.jobs import ANONYMOUS
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.methods.datasets import overlaid
from gcp_emulator.bigquery.service import BigQuery
from gcp_emulator.bigquery.types import Field, column, duck_type, normal, quoted
from gcp_emulator.json_api import Refusal

PAGE = 1000
ID = re.compile(r"[\w -]{1,1024}")
SHORT = (
    "kind", "id", "tableReference", "type", "labels", "friendlyName", "timePartitioning", "rangePartitioning",
    "clustering", "creationTime", "expirationTime", "requirePartitionFilter",
)  # fmt: skip
REFUSED = (
    "externalDataConfiguration", "cloneDefinition", "snapshotDefinition", "biglakeConfiguration",
    "tableReplicationInfo", "materializedView",
)  # fmt: skip
GRANULARITIES = ("HOUR", "DAY", "MONTH", "YEAR")


def list_(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        around = catalog.need_dataset(call.project, call.dataset)
        rights.need(call.caller, "bigquery.tables.list", around)
        found = catalog.tables(call.project, call.dataset)
    page, more = call.page(found, PAGE)
    short = [{key: each[key] for key in SHORT if key in each} for each in page]
    for brief, whole in zip(short, page, strict=True):
        if "view" in whole:
            brief["view"] = {"useLegacySql": whole["view"].get("useLegacySql", False)}
    answer = {"kind": "bigquery#tableList", "etag": "", "totalItems": len(found), **more}
    return {**answer, **({"tables": short} if short else {})}


def get(service: BigQuery, call: Call) -> Resource:
    if call.dataset == ANONYMOUS:
        return _anonymous(service, call)
    with service.catalog() as catalog:
        around = catalog.need_dataset(call.project, call.dataset)
        rights.need(call.caller, "bigquery.tables.get", around, call.table)
        return catalog.need_table(call.project, call.dataset, call.table.partition("$")[0])


def _anonymous(service: BigQuery, call: Call) -> Resource:
    job = service.jobs.holding(call.project, call.table)
    if job is None or job.result.fields is None or job.result.gone:
        raise errors.not_found("Table", f"{call.project}:{call.dataset}.{call.table}")
    return {
        "kind": "bigquery#table",
        "id": f"{call.project}:{call.dataset}.{call.table}",
        "tableReference": job.anonymous,
        "type": "TABLE",
        "location": job.location,
        "creationTime": job.created,
        "schema": {"fields": job.result.fields},
        "numRows": str(len(job.result.rows)),
        "numBytes": "0",
    }


def insert(service: BigQuery, call: Call) -> Resource:
    given = call.body.get("tableReference") or {}
    id_ = given.get("tableId", "")
    if not ID.fullmatch(id_):
        raise errors.invalid(f'Invalid table ID "{id_}".')
    name = (given.get("projectId") or call.project, given.get("datasetId") or call.dataset, id_)
    for property_ in REFUSED:
        if call.body.get(property_):
            raise errors.unsupported(f"tables with {property_}")
    with service.executor() as executor:
        around = executor.catalog.need_dataset(*name[:2])
        rights.need(call.caller, "bigquery.tables.create", around, id_)
        if executor.catalog.table(*name):
            raise errors.duplicate("Table", "{}:{}.{}".format(*name))
        with executor.writing(name[0]):
            if "view" in call.body:
                _make_view(executor, name, call.body)
            else:
                _make(executor, name, call.body)
        return executor.catalog.need_table(*name)


def _make(executor: Executor, name: Name, body: Mapping[str, Any]) -> None:
    fields = [normal(field) for field in (body.get("schema") or {}).get("fields", ())]
    partitioned = _partitioning(body, fields)
    # DuckDB has no table without columns: this one is there until the first schema is
    columns = ", ".join(_column(field) for field in fields) or f"{quoted(EMPTY)} INTEGER"
    with executor.transaction():
        executor.step(f"CREATE TABLE {quoted(*name)} ({columns})")
        executor.put_table(name, {**body, **partitioned, "schema": {"fields": fields}})


EMPTY = "__no_columns"


def _column(field: Field) -> str:
    default = field.get("defaultValueExpression")
    return f"{column(field)} DEFAULT {sql.expression(default)}" if default else column(field)


def _partitioning(body: Mapping[str, Any], fields: Sequence[Field]) -> Resource:
    """As answers have it; Refusal for what cannot be partitioned by."""
    types = {field["name"].lower(): field["type"] for field in fields}
    if given := body.get("timePartitioning"):
        kind, by = given.get("type") or "DAY", given.get("field")
        if kind not in GRANULARITIES:
            raise errors.invalid(f"Invalid value for timePartitioning.type: {kind}")
        if by and types.get(by.lower()) not in ("DATE", "TIMESTAMP", "DATETIME"):
            raise errors.invalid(
                "The field specified for partitioning can only be of type TIMESTAMP, DATE or DATETIME: "
                f"{by} is {types.get(by.lower(), 'no field of the schema')}."
            )
        return {"timePartitioning": {**given, "type": kind}}
    given = body.get("rangePartitioning")
    if given and types.get(str(given.get("field")).lower()) != "INTEGER":
        raise errors.invalid(
            f"The field specified for range partitioning must be of type INTEGER: {given.get('field')}."
        )
    wanted = (body.get("clustering") or {}).get("fields", ())
    for by in wanted:
        if by.lower() not in types:
            raise errors.invalid(f"The field specified for clustering cannot be found in the schema: {by}.")
    return {}


def _make_view(executor: Executor, name: Name, body: Mapping[str, Any], verb: str = "CREATE") -> None:
    """Through GoogleSQL's own CREATE VIEW, so that its query is checked as a statement would be."""
    if body["view"].get("useLegacySql"):
        raise errors.unsupported("views in legacy SQL")
    text = f"{verb} VIEW `{'.'.join(name)}` AS {body['view']['query']}"
    translation = sql.translate(
        sql.parse(text)[0],
        sql.Names(
            catalog=executor.catalog,
            project=name[0],
            default_dataset=None,
            parameters=[],
            session=executor.session,
        ),
    )
    described = {field["name"]: field for field in (body.get("schema") or {}).get("fields", ())}
    with executor.transaction():
        for step in translation.steps:
            executor.step(step)
        told = {**body, "view": {"useLegacySql": False, **body["view"]}, "type": "VIEW"}
        executor.put_table(name, {**told, "schema": {"fields": list(described.values())}})


def patch(service: BigQuery, call: Call) -> Resource:
    return _change(service, call, whole=False)


def update(service: BigQuery, call: Call) -> Resource:
    return _change(service, call, whole=True)


KEPT = ("location", "creationTime", "type", "schema", "timePartitioning", "rangePartitioning", "view")


def _change(service: BigQuery, call: Call, *, whole: bool) -> Resource:
    name = (call.project, call.dataset, call.table)
    with service.executor() as executor, executor.writing(call.project):
        known = executor.catalog.need_table(*name)
        around = executor.catalog.need_dataset(*name[:2])
        rights.need(call.caller, "bigquery.tables.update", around, call.table)
        call.need_match(known["etag"])
        base = {key: known[key] for key in KEPT if key in known} if whole else known
        changed = {**base, **overlaid(known, call.body)}
        if call.body.get("view") and known["type"] == "VIEW":
            _make_view(executor, name, changed, "CREATE OR REPLACE")
            return executor.catalog.need_table(*name)
        with executor.transaction():
            fields = (call.body.get("schema") or {}).get("fields")
            if fields is not None and known["type"] == "TABLE":
                reshape(executor, known, [normal(field) for field in fields])
            executor.put_table(name, changed)
        return executor.catalog.need_table(*name)


def reshape(executor: Executor, known: Resource, fields: Sequence[Field]) -> None:
    """Give the table these columns: more, or less strict ones. Refusal where that would lose something."""
    table = "{projectId}:{datasetId}.{tableId}".format(**known["tableReference"])
    name = quoted(*(known["tableReference"][key] for key in ("projectId", "datasetId", "tableId")))
    old = {field["name"].lower(): field for field in known["schema"].get("fields", ())}
    new = {field["name"].lower(): field for field in fields}
    for key, field in old.items():
        if key not in new and key != EMPTY:
            raise _mismatch(table, f"Field {field['name']} is missing in new schema")
    for key, field in new.items():
        if key not in old:
            if field["mode"] == "REQUIRED":
                raise _mismatch(
                    table, f"Cannot add required fields to an existing schema. (field: {field['name']})"
                )
            executor.step(f"ALTER TABLE {name} ADD COLUMN {_column(field)}")
        else:
            _fit(executor, table, name, old[key], field)
    if EMPTY in old and new:
        executor.step(f"ALTER TABLE {name} DROP COLUMN {quoted(EMPTY)}")


def _fit(executor: Executor, table: str, name: str, old: Field, new: Field) -> None:
    compare(table, old, new)
    by = f"ALTER TABLE {name} ALTER COLUMN {quoted(old['name'])}"
    if duck_type(old) != duck_type(new):
        executor.step(f"{by} SET DATA TYPE {duck_type(new)}")
    if old["mode"] == "REQUIRED" and new["mode"] == "NULLABLE":
        executor.step(f"{by} DROP NOT NULL")


def compare(table: str, old: Field, new: Field) -> None:
    """Refusal where a field became narrower, or another one; subfields too."""
    field = old["name"]
    modes = (old.get("mode") or "NULLABLE", new.get("mode") or "NULLABLE")
    if modes[0] != modes[1] and modes != ("REQUIRED", "NULLABLE"):
        raise _mismatch(table, f"Field {field} has changed mode from {modes[0]} to {modes[1]}")
    if old["type"] != new["type"]:
        raise _mismatch(table, f"Field {field} has changed type from {old['type']} to {new['type']}")
    if old["type"] == "RECORD":
        children = {child["name"].lower(): child for child in new["fields"]}
        for child in old["fields"]:
            if child["name"].lower() not in children:
                raise _mismatch(table, f"Field {field}.{child['name']} is missing in new schema")
            compare(table, child, children[child["name"].lower()])


def _mismatch(table: str, what: str) -> Refusal:
    return errors.invalid(f"Provided Schema does not match Table {table}. {what}")


def delete(service: BigQuery, call: Call) -> None:
    name = (call.project, call.dataset, call.table)
    with service.executor() as executor, executor.writing(call.project):
        known = executor.catalog.need_table(*name)
        around = executor.catalog.need_dataset(*name[:2])
        rights.need(call.caller, "bigquery.tables.delete", around, call.table)
        with executor.transaction():
            kind = "VIEW" if known["type"] == "VIEW" else "TABLE"
            executor.step(f"DROP {kind} {quoted(*name)}")
            executor.records.drop_table(name)
