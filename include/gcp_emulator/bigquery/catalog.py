"""What there is: the resources of datasets and tables, beside the DuckDB objects that hold the rows."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import duckdb

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.database import SIDE, Database, encoded, now_ms
from gcp_emulator.bigquery.types import Field, described, quoted

Resource: TypeAlias = dict[str, Any]
Cursor: TypeAlias = duckdb.DuckDBPyConnection
Name: TypeAlias = tuple[str, str, str]
LOCATION = "US"  # where a dataset is that does not say
VIEWS = ("view", "materializedView")


def none(project: str) -> list[Resource]:
    """Where nobody keeps jobs."""
    return []


class Catalog:
    """Reads through one cursor, so it sees what that cursor's transaction sees.

    `location`: where the asking job runs; a dataset elsewhere is not found, as on Google. "" for anywhere.
    """

    def __init__(
        self,
        database: Database,
        cursor: Cursor,
        location: str = "",
        jobs: Callable[[str], list[Resource]] = none,
    ) -> None:
        self.jobs = jobs  # a project's, the newest first
        self._database = database
        self.cursor = cursor
        self.location = location

    def datasets(self, project: str) -> list[Resource]:
        """By id."""
        if not self._database.has(project):
            return []
        rows = self._rows(f"SELECT id, body FROM {side(project, 'datasets')} ORDER BY id")
        return [_dataset(project, id_, body) for id_, body in rows]

    def dataset(self, project: str, dataset: str) -> Resource | None:
        if not self._database.has(project):
            return None
        rows = self._rows(f"SELECT id, body FROM {side(project, 'datasets')} WHERE id = ?", dataset)
        return _dataset(project, *rows[0]) if rows else None

    def need_dataset(self, project: str, dataset: str) -> Resource:
        """Refusal notFound if there is none, or none where the job runs."""
        found = self.dataset(project, dataset)
        if found is None or (self.location and found["location"].lower() != self.location.lower()):
            raise errors.not_found("Dataset", f"{project}:{dataset}", self.location)
        return found

    def tables(self, project: str, dataset: str) -> list[Resource]:
        """By id, with the number of rows of each."""
        if not self._database.has(project):
            return []
        rows = self._rows(
            f"SELECT id, body FROM {side(project, 'tables')} WHERE dataset = ? AND {ALIVE} ORDER BY id",
            dataset,
            _now(),
        )
        return [self._table((project, dataset, id_), json.loads(body)) for id_, body in rows]

    def table(self, project: str, dataset: str, name: str) -> Resource | None:
        body = self.body(project, dataset, name)
        return None if body is None else self._table((project, dataset, name), body)

    def body(self, project: str, dataset: str, name: str) -> Resource | None:
        """What is kept of a table, without what has to be counted."""
        if not self._database.has(project):
            return None
        rows = self._rows(
            f"SELECT body FROM {side(project, 'tables')} WHERE dataset = ? AND id = ? AND {ALIVE}",
            *(dataset, name, _now()),
        )
        found: Resource | None = json.loads(rows[0][0]) if rows else None
        return found

    def need_table(self, project: str, dataset: str, name: str) -> Resource:
        """Refusal notFound that says whether the dataset or the table is missing."""
        self.need_dataset(project, dataset)
        found = self.table(project, dataset, name)
        if found is None:
            raise errors.not_found("Table", f"{project}:{dataset}.{name}", self.location)
        return found

    def _table(self, name: Name, body: Resource) -> Resource:
        project, dataset, table = name
        found = {
            "kind": "bigquery#table",
            "etag": etag(body),
            "id": f"{project}:{dataset}.{table}",
            "selfLink": f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
            **body,
        }
        if found["type"] == "TABLE":
            rows, size = self._size(name, body)
            found |= {"numRows": str(rows), "numBytes": str(size), "numLongTermBytes": "0"}
            found |= {"numTotalLogicalBytes": str(size), "numActiveLogicalBytes": str(size)}
        return found

    def _size(self, name: Name, body: Resource) -> tuple[int, int]:
        """Rows, and bytes by BigQuery's rule of thumb (8 a number, 2 + length a string, unmeasured: 16)."""
        rows = int(self._rows(f"SELECT count(*) FROM {quoted(*name)}")[0][0])
        width = sum(8 if field["type"] in WIDE else 16 for field in body["schema"].get("fields", ()))
        return rows, rows * width

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self.cursor.execute(sql, list(values)).fetchall()


WIDE = frozenset({"INTEGER", "FLOAT", "TIMESTAMP", "DATETIME", "DATE", "TIME"})
ALIVE = "(expires IS NULL OR expires > ?)"


class Records:
    """Writes resources, within the transaction of a cursor."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def put_dataset(self, project: str, dataset: str, body: Mapping[str, Any]) -> None:
        self.drop_dataset(project, dataset, tables=False)
        kept = {key: value for key, value in body.items() if key not in DERIVED and value is not None}
        kept = {"creationTime": now_ms(), "location": LOCATION, **kept, "lastModifiedTime": now_ms()}
        self._run(f"INSERT INTO {side(project, 'datasets')} VALUES (?, ?)", dataset, encoded(kept))

    def drop_dataset(self, project: str, dataset: str, *, tables: bool = True) -> None:
        self._run(f"DELETE FROM {side(project, 'datasets')} WHERE id = ?", dataset)
        if tables:
            self._run(f"DELETE FROM {side(project, 'tables')} WHERE dataset = ?", dataset)

    def put_table(self, name: Name, body: Mapping[str, Any]) -> None:
        """The whole resource; None values are left out."""
        project, dataset, table = name
        self.drop_table(name)
        kept = {key: value for key, value in body.items() if key not in DERIVED and value is not None}
        kept = {"creationTime": now_ms(), "type": "TABLE", "schema": {}, **kept, "lastModifiedTime": now_ms()}
        expires = int(kept["expirationTime"]) if kept.get("expirationTime") else None
        self._run(
            f"INSERT INTO {side(project, 'tables')} VALUES (?, ?, ?, ?)",
            *(dataset, table, expires, encoded(kept)),
        )

    def drop_table(self, name: Name) -> None:
        project, dataset, table = name
        self._run(f"DELETE FROM {side(project, 'tables')} WHERE dataset = ? AND id = ?", dataset, table)

    def expire(self, project: str) -> None:
        """Drop the tables whose time has come."""
        gone = "WHERE expires IS NOT NULL AND expires <= ?"
        rows = self._run(f"SELECT dataset, id, body FROM {side(project, 'tables')} {gone}", _now()).fetchall()
        for dataset, table, body in rows:
            kind = "VIEW" if any(view in json.loads(body) for view in VIEWS) else "TABLE"
            self._run(f"DROP {kind} IF EXISTS {quoted(project, dataset, table)}")
            self.drop_table((project, dataset, table))

    def fields(self, name: Name) -> list[Field]:
        """What DuckDB has: names, types, modes."""
        project, dataset, table = name
        found = described(self._run(f"SELECT * FROM {quoted(*name)} LIMIT 0").description)
        rows = self._run(
            "SELECT column_name FROM duckdb_columns() WHERE NOT is_nullable AND database_name = ? "
            "AND schema_name = ? AND table_name = ?",
            *(project, dataset, table),
        )
        required = {column for (column,) in rows.fetchall()}
        return [{**field, "mode": "REQUIRED"} if field["name"] in required else field for field in found]

    def _run(self, sql: str, *values: object) -> Cursor:
        return self._cursor.execute(sql, list(values))


# parts of an answer that are made for it, not kept
DERIVED = frozenset({
    "kind", "etag", "id", "selfLink", "datasetReference", "tableReference", "numRows", "numBytes", "numLongTermBytes",
    "numTotalLogicalBytes", "numActiveLogicalBytes", "lastModifiedTime", "streamingBuffer",
})  # fmt: skip


def merged(found: Iterable[Field], known: Iterable[Field]) -> list[Field]:
    """DuckDB's fields with what only the resource says of them: descriptions, precision, policy tags, modes."""
    by_name = {field["name"].lower(): field for field in known}
    result = []
    for field in found:
        told = by_name.get(field["name"].lower(), {})
        same = told.get("type", field["type"]) == field["type"] or told.get("type") == "GEOGRAPHY"
        kept = {key: value for key, value in told.items() if key not in ("name", "mode", "fields")}
        made = {**field, **(kept if same else {"description": told.get("description")})}
        if "fields" in field:
            made["fields"] = merged(field["fields"], told.get("fields", ()))
        result.append({key: value for key, value in made.items() if value is not None})
    return result


def etag(body: Mapping[str, Any]) -> str:
    return hashlib.md5(encoded(body).encode(), usedforsecurity=False).hexdigest()


def side(project: str, kind: str) -> str:
    return quoted(project, SIDE, kind)


def _dataset(project: str, dataset: str, text: str) -> Resource:
    body = json.loads(text)
    return {
        "kind": "bigquery#dataset",
        "etag": etag(body),
        "id": f"{project}:{dataset}",
        "selfLink": f"/bigquery/v2/projects/{project}/datasets/{dataset}",
        "datasetReference": {"projectId": project, "datasetId": dataset},
        "type": "DEFAULT",
        **body,
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
