"""A place where statements follow one another: a job's own, or a BigQuery session that outlives its jobs."""

import contextlib
import threading
import uuid
from typing import Any

import duckdb

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.database import Database
from gcp_emulator.bigquery.types import Field


class Session:
    """One cursor with its temporary tables, variables and, while it has one open, transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, id_: str = "") -> None:
        self.cursor = cursor
        self.id = id_
        self.variables: dict[str, Any] = {}
        self.temporary: dict[str, list[Field]] = {}
        self.in_transaction = False
        self.touched: set[tuple[str, str, str]] = set()  # tables that the open transaction has changed
        self.aborted = False
        self.busy = threading.Lock()  # one statement at a time

    def abort(self) -> None:
        """What CALL BQ.ABORT_SESSION asks for: the session takes no more statements."""
        self.aborted = True

    def close(self) -> None:
        """Temporary tables go, an open transaction is undone."""
        with contextlib.suppress(duckdb.Error):
            if self.in_transaction:
                self.cursor.execute("ROLLBACK")
        self.cursor.close()


class Sessions:
    """https://cloud.google.com/bigquery/docs/sessions-intro."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions: dict[str, Session] = {}

    def create(self) -> Session:
        session = Session(self._database.cursor(), uuid.uuid4().hex)
        self._sessions[session.id] = session
        return session

    def once(self) -> Session:
        """For one job."""
        return Session(self._database.cursor())

    def find(self, id_: str) -> Session:
        """Refusal if there is no such session, or it was aborted."""
        session = self._sessions.get(id_)
        if session is None:
            raise errors.invalid(f"Session {id_} is not found or has been terminated.")
        return session

    def leave(self, session: Session) -> None:
        """A job is done with it."""
        if session.aborted or not session.id:
            self._sessions.pop(session.id, None)
            session.close()

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
