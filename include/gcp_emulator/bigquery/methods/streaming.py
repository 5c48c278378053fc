"""https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from gcp_emulator.bigquery import errors, load, rights
from gcp_emulator.bigquery.catalog import Resource
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery
from gcp_emulator.json_api import Refusal

Numbered: TypeAlias = Sequence[tuple[int, Mapping[str, Any]]]


def insert_all(service: BigQuery, call: Call) -> Resource:
    """All rows or, where one is bad and skipInvalidRows is not set, none; a row of a known insertId is there."""
    if call.body.get("templateSuffix"):
        raise errors.unsupported("insertAll with a templateSuffix")
    given = call.body.get("rows") or []
    if not given:
        raise errors.invalid("Required parameter is missing: rows")
    name = (call.project, call.dataset, call.table)
    ids = [(*name, str(row.get("insertId") or "")) for row in given]
    with service.executor() as executor, executor.writing(call.project):
        around = executor.catalog.need_dataset(*name[:2])
        rights.need(call.caller, "bigquery.tables.updateData", around, call.table)
        executor.catalog.need_table(*name)
        fresh = [
            (number, row.get("json") or {})
            for number, row in enumerate(given)
            if not service.streamed.knows(ids[number])
        ]
        wrong = _insert(executor, call, fresh)
        failed = {each["index"] for each in wrong}
        service.streamed.add(ids[number] for number, _ in fresh if number not in failed)
    answer: Resource = {"kind": "bigquery#tableDataInsertAllResponse"}
    return {**answer, "insertErrors": wrong} if wrong else answer


def _insert(executor: Executor, call: Call, rows: Numbered) -> list[dict[str, Any]]:
    """The rows that are not in the table afterwards, and why."""
    try:
        _write(executor, call, [row for _, row in rows])
    except Refusal as error:
        skip = bool(call.body.get("skipInvalidRows"))
        wrong = _one_by_one(executor, call, rows, keep=skip)
        if not wrong:
            raise error
        if not skip:
            bad = {each["index"] for each in wrong}
            wrong += [_error(number, "stopped", "") for number, _ in rows if number not in bad]
        return sorted(wrong, key=lambda each: int(each["index"]))
    return []


def _one_by_one(executor: Executor, call: Call, rows: Numbered, *, keep: bool) -> list[dict[str, Any]]:
    wrong = []
    for number, row in rows:
        try:
            _write(executor, call, [row], keep=keep)
        except Refusal as why:
            message = why.message.removeprefix("Error while reading data, error message: ")
            wrong.append(_error(number, "invalid", message))
    return wrong


def _error(number: int, reason: str, message: str) -> dict[str, Any]:
    item = {"reason": reason, "location": "", "debugInfo": "", "message": message}
    return {"index": number, "errors": [item]}


class _Tried(Exception):
    """Undoes what was only tried."""


def _write(executor: Executor, call: Call, rows: Sequence[Any], *, keep: bool = True) -> None:
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
            with executor.transaction():
                load.insert(executor, config, [path], call.project)
                if not keep:
                    raise _Tried
        except _Tried:
            return
