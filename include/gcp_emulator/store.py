"""Resources as protobuf bytes in SQLite: in memory, or in a folder that outlives the process."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS by_name ON resources (kind, name);
CREATE INDEX IF NOT EXISTS by_parent ON resources (kind, parent, seq);
CREATE INDEX IF NOT EXISTS by_age ON resources (kind, seq);
"""
FILE = "resources.sqlite"


class Store:
    """Keeps messages by kind (the message's full name) and resource name, in the order they were made."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            ":memory:" if folder is None else folder / FILE, isolation_level=None, check_same_thread=False
        )
        if folder is not None:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def put(self, message: Any, name: str = "", *, deleted: bool = False) -> None:
        """Create or replace; a name that was deleted before counts as a new resource."""
        kind, name = _kind(message), name or message.name
        if not deleted:
            self._db.execute("DELETE FROM resources WHERE kind = ? AND name = ? AND deleted", (kind, name))
        self._db.execute(
            "INSERT INTO resources (kind, name, parent, deleted, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, deleted = excluded.deleted",
            (kind, name, parent_of(name), deleted, message.SerializeToString()),
        )

    def get(self, cls: Any, name: str) -> Any | None:
        row = self._db.execute(
            "SELECT body FROM resources WHERE kind = ? AND name = ? AND NOT deleted", (_kind(cls), name)
        ).fetchone()
        return cls.FromString(row[0]) if row else None

    def remove(self, cls: Any, name: str) -> bool:
        """Forget it for good; whether it was there."""
        done = self._db.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (_kind(cls), name))
        return done.rowcount > 0

    def remove_below(self, cls: Any, parent: str) -> None:
        """Forget all resources of a kind that a parent has."""
        self._db.execute("DELETE FROM resources WHERE kind = ? AND parent = ?", (_kind(cls), parent))

    def page(
        self,
        cls: Any,
        parent: str,
        *,
        beyond: int | None = None,
        limit: int = -1,
        deleted: bool = False,
        oldest_first: bool = False,
    ) -> list[tuple[int, Any]]:
        """(sequence number, message) of a parent's resources, newest first unless told otherwise.

        A `-` segment of the parent stands for any; `beyond` is the sequence number to go on after.
        """
        where, values = _below(cls, parent)
        if not deleted:
            where += " AND NOT deleted"
        if beyond is not None:
            where += " AND seq > ?" if oldest_first else " AND seq < ?"
            values.append(beyond)
        order = "ASC" if oldest_first else "DESC"
        rows = self._db.execute(
            f"SELECT seq, body FROM resources WHERE {where} ORDER BY seq {order} LIMIT ?", (*values, limit)
        )
        return [(seq, cls.FromString(body)) for seq, body in rows]

    def page_by_name(
        self, cls: Any, parent: str, beyond: str | None, limit: int, *, descending: bool = False
    ) -> list[tuple[int, Any]]:
        """(sequence number, message) of a parent's resources, by name, after the name `beyond`."""
        where, values = _below(cls, parent)
        where += " AND NOT deleted"
        if beyond is not None:
            where += " AND name < ?" if descending else " AND name > ?"
            values.append(beyond)
        order = "DESC" if descending else "ASC"
        rows = self._db.execute(
            f"SELECT seq, body FROM resources INDEXED BY by_name WHERE {where} ORDER BY name {order} LIMIT ?",
            (*values, limit),
        )
        return [(seq, cls.FromString(body)) for seq, body in rows]

    def all(self, cls: Any) -> Iterator[Any]:
        """Every resource of a kind, oldest first."""
        rows = self._db.execute(
            "SELECT body FROM resources WHERE kind = ? AND NOT deleted ORDER BY seq", (_kind(cls),)
        ).fetchall()
        return (cls.FromString(body) for (body,) in rows)

    def named(self, cls: Any) -> Iterator[tuple[str, Any]]:
        """(name, message) of every resource of a kind, oldest first: for kinds whose messages hold a short name."""
        rows = self._db.execute(
            "SELECT name, body FROM resources WHERE kind = ? AND NOT deleted ORDER BY seq", (_kind(cls),)
        ).fetchall()
        return ((name, cls.FromString(body)) for name, body in rows)

    def close(self) -> None:
        self._db.close()


def parent_of(name: str) -> str:
    """`projects/p/locations/l/jobs/j` -> `projects/p/locations/l`."""
    return name.rsplit("/", 2)[0]


def _kind(message: Any) -> str:
    full_name: str = message.DESCRIPTOR.full_name
    return full_name


def _below(cls: Any, parent: str) -> tuple[str, list[Any]]:
    """The condition that finds a parent's resources of a kind, and its values."""
    everywhere = "-" in parent.split("/")
    condition = "kind = ? AND parent " + ("GLOB ?" if everywhere else "= ?")
    return condition, [_kind(cls), _pattern(parent) if everywhere else parent]


def _pattern(parent: str) -> str:
    """A GLOB in which `-` segments match one segment (names hold no slash, so `[^/]*` is not needed)."""
    return "/".join("*" if part == "-" else part for part in parent.split("/"))
