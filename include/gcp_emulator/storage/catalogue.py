"""What is known of buckets, objects, notifications and uploads: tables in SQLite, names in the order of their bytes."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcp_emulator.storage.record import MICROSECONDS, Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, project TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, live INTEGER NOT NULL,
    place TEXT NOT NULL, size INTEGER NOT NULL, stamp TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS live_objects ON objects (bucket, name) WHERE live;
CREATE TABLE IF NOT EXISTS notes (
    kind TEXT NOT NULL, bucket TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, bucket, id)
);
"""
FILE = "storage.sqlite"
UPLOAD_LIFE = 7 * 24 * 3600 * MICROSECONDS
COLUMNS = "bucket, name, generation, live, place, size, stamp, body"


class Catalogue:
    """For any number of threads. What must be seen whole is done within `change()`, one thread at a time."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else folder / FILE
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        if folder is not None:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._lock = threading.RLock()
        self._run(
            "DELETE FROM notes WHERE kind = 'upload' AND json_extract(body, '$.begun') < ?",
            time.time_ns() // 1000 - UPLOAD_LIFE,
        )
        # generations go on, also when the clock has gone back since
        self._last = int(self._one("SELECT COALESCE(MAX(generation), 0) FROM objects")[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """All of it or, after an exception, nothing; may be nested."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def next_number(self) -> int:
        """Microseconds since 1970, never one twice: Google's generations are such numbers."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() * MICROSECONDS // 1_000_000_000)
            return self._last

    def bucket(self, name: str) -> dict[str, Any] | None:
        row = self._one("SELECT body FROM buckets WHERE name = ?", name)
        return json.loads(row[0]) if row else None

    def project(self, bucket: str) -> str:
        """The project that a bucket is in, "" without such a bucket."""
        row = self._one("SELECT project FROM buckets WHERE name = ?", bucket)
        return str(row[0]) if row else ""

    def buckets(self, project: str | None = None) -> list[dict[str, Any]]:
        """By name; of every project unless one is given."""
        where, given = ("", ()) if project is None else (" WHERE project = ?", (project,))
        return [
            json.loads(body)
            for (body,) in self._all(f"SELECT body FROM buckets{where} ORDER BY name", *given)
        ]

    def put_bucket(self, project: str, body: Mapping[str, Any]) -> None:
        statement = "INSERT OR REPLACE INTO buckets (name, project, body) VALUES (?, ?, ?)"
        self._run(statement, body["name"], project, json.dumps(body))

    def drop_bucket(self, name: str) -> None:
        """And all that is known of it."""
        for statement in ("buckets WHERE name = ?", "objects WHERE bucket = ?", "notes WHERE bucket = ?"):
            self._run(f"DELETE FROM {statement}", name)

    def live(self, bucket: str, name: str) -> Record | None:
        return self._record("bucket = ? AND name = ? AND live", bucket, name)

    def version(self, bucket: str, name: str, generation: int) -> Record | None:
        return self._record("bucket = ? AND name = ? AND generation = ?", bucket, name, generation)

    def put(self, record: Record) -> None:
        self._run(
            f"INSERT OR REPLACE INTO objects ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(record.bucket, record.name, record.generation, record.live),
            *(record.place, record.size, record.stamp, json.dumps(record.fields)),
        )

    def remove(self, record: Record) -> None:
        statement = "DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?"
        self._run(statement, record.bucket, record.name, record.generation)

    def records(
        self, bucket: str, after: tuple[str, int], end: str | None, limit: int, *, versions: bool
    ) -> list[Record]:
        """By name and generation, beyond `after`, before the name `end`; noncurrent ones only with `versions`."""
        where = "bucket = ? AND (name, generation) > (?, ?)" + ("" if versions else " AND live")
        given: list[Any] = [bucket, *after]
        if end is not None:
            where, given = f"{where} AND name < ?", [*given, end]
        rows = self._all(
            f"SELECT {COLUMNS} FROM objects WHERE {where} ORDER BY name, generation LIMIT ?", *given, limit
        )
        return [_record(row) for row in rows]

    def stamps(self, bucket: str, start: str, end: str | None) -> dict[str, tuple[str, int, str]]:
        """(stamp, size, place) of every live object of a range of names."""
        where, given = "bucket = ? AND name >= ? AND live", [bucket, start]
        if end is not None:
            where, given = f"{where} AND name < ?", [*given, end]
        rows = self._all(f"SELECT name, stamp, size, place FROM objects WHERE {where}", *given)
        return {name: (stamp, size, place) for name, stamp, size, place in rows}

    def places(self) -> set[str]:
        """Every file aside that something needs."""
        kept = self._all("SELECT place FROM objects WHERE place != ''")
        kept += self._all("SELECT json_extract(body, '$.file') FROM notes WHERE kind = 'upload'")
        return {place for (place,) in kept}

    def totals(self, bucket: str) -> tuple[int, int]:
        """How many live objects a bucket has, and their bytes."""
        row = self._one("SELECT COUNT(*), TOTAL(size) FROM objects WHERE bucket = ? AND live", bucket)
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def has_objects(self, bucket: str) -> bool:
        """Also noncurrent ones."""
        return self._one("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", bucket) is not None

    def note(self, kind: str, bucket: str, identifier: str) -> dict[str, Any] | None:
        """A notification or an upload."""
        row = self._one(
            "SELECT body FROM notes WHERE kind = ? AND bucket = ? AND id = ?", kind, bucket, identifier
        )
        return json.loads(row[0]) if row else None

    def notes(self, kind: str, bucket: str) -> list[dict[str, Any]]:
        statement = "SELECT body FROM notes WHERE kind = ? AND bucket = ? ORDER BY rowid"
        return [json.loads(body) for (body,) in self._all(statement, kind, bucket)]

    def put_note(self, kind: str, bucket: str, identifier: str, body: Mapping[str, Any]) -> None:
        statement = "INSERT OR REPLACE INTO notes (kind, bucket, id, body) VALUES (?, ?, ?, ?)"
        self._run(statement, kind, bucket, identifier, json.dumps(body))

    def drop_note(self, kind: str, bucket: str, identifier: str) -> None:
        self._run("DELETE FROM notes WHERE kind = ? AND bucket = ? AND id = ?", kind, bucket, identifier)

    def _record(self, where: str, *given: Any) -> Record | None:
        row = self._one(f"SELECT {COLUMNS} FROM objects WHERE {where}", *given)
        return _record(row) if row else None

    def _run(self, statement: str, *given: Any) -> None:
        with self._lock:
            self._db.execute(statement, given)

    def _one(self, statement: str, *given: Any) -> Any:
        with self._lock:
            return self._db.execute(statement, given).fetchone()

    def _all(self, statement: str, *given: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, given).fetchall()


def _record(row: Any) -> Record:
    *most, body = row
    bucket, name, generation, live, place, size, stamp = most
    return Record(bucket, name, generation, bool(live), place, size, stamp, json.loads(body))
