"""https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list."""

from gcp_emulator.bigquery import answers, errors, rights
from gcp_emulator.bigquery.catalog import Catalog, Resource
from gcp_emulator.bigquery.jobs import ANONYMOUS, Result
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery


def list_(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        result = _anonymous(service, call) if call.dataset == ANONYMOUS else _table(catalog, call)
        page = answers.page(catalog.cursor, result, call)
    return {"kind": "bigquery#tableDataList", "etag": "", **page}


def _anonymous(service: BigQuery, call: Call) -> Result:
    job = service.jobs.holding(call.project, call.table)
    if job is None or job.result.fields is None:
        raise errors.not_found("Table", f"{call.project}:{call.dataset}.{call.table}")
    return job.result


def _table(catalog: Catalog, call: Call) -> Result:
    around = catalog.need_dataset(call.project, call.dataset)
    rights.need(call.caller, "bigquery.tables.getData", around, call.table)
    table = catalog.need_table(call.project, call.dataset, call.table)
    if table["type"] != "TABLE":
        raise errors.invalid(f"Cannot list a table of type {table['type']}.")
    wanted = {name.lower() for name in call.query.get("selectedFields", "").split(",") if name}
    if any("." in name for name in wanted):
        raise errors.unsupported("selectedFields within a RECORD")
    fields = table["schema"].get("fields", ())
    chosen = [field for field in fields if not wanted or field["name"].lower() in wanted]
    return Result(fields=chosen, table=(call.project, call.dataset, call.table))
