"""https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gcp_emulator.bigquery import answers, errors, load, rights
from gcp_emulator.bigquery.catalog import Resource
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.jobs import ANONYMOUS, Result
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery
from gcp_emulator.json_api import Refusal

REMEMBERED_S = 60.0  # how long an insertId keeps a row from being inserted twice
ONE_BY_ONE = 500  # rows; of more, the first bad one is told


def list_(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        if call.dataset == ANONYMOUS:
            job = service.jobs.holding(call.project, call.table)
            if job is None or job.result.fields is None:
                raise errors.not_found("Table", f"{call.project}:{call.dataset}.{call.table}")
            result = job.result
        else:
            around = catalog.need_dataset(call.project, call.dataset)
            rights.need(call.caller, "bigquery.tables.getData", around, call.table)
            table = catalog.need_table(call.project, call.dataset, call.table)
            if table["type"] != "TABLE":
                raise errors.invalid(f"Cannot list a table of type {table['type']}.")
            wanted = call.query.get("selectedFields", "")
            names = {name.split(".")[0].lower() for name in wanted.split(",") if name}
            fields = [
                field
                for field in table["schema"].get("fields", ())
                if not names or field["name"].lower() in names
            ]
            result = Result(fields=fields, table=(call.project, call.dataset, call.table))
        page = answers.page(catalog.cursor, result, call)
    return {"kind": "bigquery#tableDataList", "etag": "", **page}


class Remembered:
    """insertIds of the last minute."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], float] = {}

    def new(self, *key: str) -> bool:
        now = time.monotonic()
        for old in [known for known, when in self._seen.items() if now - when > REMEMBERED_S]:
            del self._seen[old]
        if not key[-1] or key not in self._seen:
            self._seen[key] = now
            return True
        return False


REMEMBERED = Remembered()


def insert_all(service: BigQuery, call: Call) -> Resource:
    """All rows or, where one is bad and skipInvalidRows is not set, none."""
    if call.body.get("templateSuffix"):
        raise errors.unsupported("insertAll with a templateSuffix")
    name = (call.project, call.dataset, call.table)
    given = call.body.get("rows") or []
    if not given:
        raise errors.invalid("Required parameter is missing: rows")
    with service.executor() as executor:
        around = executor.catalog.need_dataset(*name[:2])
        rights.need(call.caller, "bigquery.tables.updateData", around, call.table)
        executor.catalog.need_table(*name)
        numbered = [(number, row.get("json") or {}) for number, row in enumerate(given)]
        wrong: list[dict[str, Any]] = []
        try:
            _write(executor, call, [row for _, row in _fresh(numbered, given, name)])
        except Refusal as error:
            wrong = _sorted_out(executor, call, numbered, error)
    answer: Resource = {"kind": "bigquery#tableDataInsertAllResponse"}
    return {**answer, "insertErrors": wrong} if wrong else answer


def _fresh(
    numbered: Sequence[tuple[int, Any]], given: Sequence[Mapping[str, Any]], name: tuple[str, str, str]
) -> list[tuple[int, Any]]:
    return [
        (number, row)
        for number, row in numbered
        if REMEMBERED.new(*name, str(given[number].get("insertId") or ""))
    ]


def _sorted_out(
    executor: Executor, call: Call, numbered: Sequence[tuple[int, Any]], error: Refusal
) -> list[dict[str, Any]]:
    """Which rows were wrong; with skipInvalidRows the others are in the table now."""
    wrong = []
    for number, row in numbered[:ONE_BY_ONE]:
        try:
            _write(executor, call, [row], keep=bool(call.body.get("skipInvalidRows")))
        except Refusal as why:
            message = why.message.removeprefix("Error while reading data, error message: ")
            item = {"reason": "invalid", "location": "", "debugInfo": "", "message": message}
            wrong.append({"index": number, "errors": [item]})
    if not wrong:
        raise error
    if not call.body.get("skipInvalidRows"):
        bad = {each["index"] for each in wrong}
        stopped = [{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]
        wrong += [{"index": number, "errors": stopped} for number, _ in numbered if number not in bad]
    return sorted(wrong, key=lambda each: each["index"])


class _Tried(Exception):
    """Undoes what was only tried."""


def _write(executor: Executor, call: Call, rows: Sequence[Any], *, keep: bool = True) -> None:
    if not rows:
        return
    config = {
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "createDisposition": "CREATE_NEVER",
        "ignoreUnknownValues": bool(call.body.get("ignoreUnknownValues")),
        "destinationTable": {"projectId": call.project, "datasetId": call.dataset, "tableId": call.table},
    }
    with TemporaryDirectory(prefix="bigquery-insert-") as folder:
        path = Path(folder) / "rows.json"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        try:
            with executor.writing(call.project), executor.transaction():
                load.insert(executor, config, [path], call.project)
                if not keep:
                    raise _Tried
        except _Tried:
            return
