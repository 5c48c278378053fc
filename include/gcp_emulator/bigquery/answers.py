"""A query's rows, page by page, whether they lie in a job's record or in a table."""

from typing import Any

from gcp_emulator.bigquery import errors, rows
from gcp_emulator.bigquery.catalog import Cursor, Name
from gcp_emulator.bigquery.jobs import Job, Result
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.types import Field, quoted


def of_job(cursor: Cursor, job: Job, call: Call) -> dict[str, Any]:
    """https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/getQueryResults of a job that is done."""
    if job.error:
        raise errors.of_reason(job.error.item)
    statistics = job.statistics.get("query", {})
    answer: dict[str, Any] = {
        "kind": "bigquery#getQueryResultsResponse",
        "etag": job.id,
        "jobReference": job.reference,
        "jobComplete": True,
        "cacheHit": False,
        "totalBytesProcessed": "0",
        "location": job.location,
    }
    for source, key in (
        (job.statistics, "sessionInfo"),
        (statistics, "numDmlAffectedRows"),
        (statistics, "dmlStats"),
    ):
        if key in source:
            answer[key] = source[key]
    if job.result.fields is None:
        return {**answer, "schema": {}, "totalRows": "0"} if "numDmlAffectedRows" in statistics else answer
    return {**answer, "schema": {"fields": job.result.fields}, **page(cursor, job.result, call, whole=True)}


WHOLE = 100_000  # rows


def page(cursor: Cursor, result: Result, call: Call, *, whole: bool = False) -> dict[str, Any]:
    """totalRows, and rows and pageToken where there are any to give: maxResults=0 asks for none.

    `whole`: it gets them all, if they are not too many. Google's client asks so before `to_dataframe`, and takes rows
    that it does not have yet from the Storage Read API, whose address cannot be changed.
    """
    if result.gone:
        raise errors.not_found("Table", "with the results of this job: it has expired")
    fields = result.fields or []
    start = call.number("pageToken", call.number("startIndex", 0))
    wanted = call.number("maxResults", rows.PAGE)
    as_integers = call.flag("formatOptions.useInt64Timestamp")
    if whole and wanted == 0 and _count(cursor, result) <= WHOLE:
        wanted, as_integers = WHOLE, True
    if result.table:
        total, part = _of_table(cursor, result.table, fields, start, wanted)
    else:
        total, part = len(result.rows), result.rows[start : start + wanted]
    answer: dict[str, Any] = {"totalRows": str(total)}
    if wanted > 0:
        answer["rows"] = [rows.row(each, fields, int_timestamps=as_integers) for each in part]
        if start + wanted < total:
            answer["pageToken"] = str(start + wanted)
    return answer


def _count(cursor: Cursor, result: Result) -> int:
    if result.table is None:
        return len(result.rows)
    counted = cursor.execute(f"SELECT count(*) FROM {quoted(*result.table)}").fetchone()
    return int(counted[0]) if counted else 0


def _of_table(
    cursor: Cursor, table: Name, fields: list[Field], start: int, wanted: int
) -> tuple[int, list[tuple[Any, ...]]]:
    total = _count(cursor, Result(table=table))
    if not fields or wanted <= 0:
        return total, []
    columns = ", ".join(quoted(field["name"]) for field in fields)
    cursor.execute(f"SELECT {columns} FROM {quoted(*table)} LIMIT {wanted} OFFSET {start}")
    return total, cursor.fetchall()
