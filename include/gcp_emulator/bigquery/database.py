"""DuckDB under BigQuery: one file a project, all attached to one instance under the projects' ids."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from gcp_emulator.bigquery.types import literal, quoted

SIDE = "__bq"  # the schema, beside the datasets, with what DuckDB does not keep
CONFLICT_S = 20.0  # how long a statement waits for a transaction of somebody else's session
SETTINGS = {
    "autoinstall_known_extensions": "false",  # nothing is fetched from anywhere
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a table's name must not find a Python variable
}


class Database:
    """Cursors may be used from any thread, one thread at a time each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.root = duckdb.connect(config=dict(SETTINGS))
        self.root.execute("SET GLOBAL TimeZone='UTC'")
        self.root.execute(f"SET GLOBAL temp_directory={literal(str(folder / 'spill'))}")
        self._lock = threading.Lock()
        self._writing: dict[str, threading.RLock] = {}

    def close(self) -> None:
        """Writes everything into the files."""
        with self._lock:
            for project in self._writing:
                with contextlib.suppress(duckdb.Error):  # in use: its log is read when it is opened again
                    self.root.execute(f"CHECKPOINT {quoted(project)}")
            self.root.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            return self.root.cursor()

    def has(self, project: str) -> bool:
        """Whether the project has ever had a dataset; its file is attached then."""
        if project not in self._writing and self._file(project).exists():
            self.create(project)
        return project in self._writing

    def create(self, project: str) -> None:
        """Attach the project's file; make it if there is none."""
        with self._lock:
            if project in self._writing:
                return
            name = quoted(project)
            self.root.execute(f"ATTACH IF NOT EXISTS {literal(str(self._file(project)))} AS {name}")
            self.root.execute(f"CREATE SCHEMA IF NOT EXISTS {name}.{SIDE}")
            for kind in ("datasets (id VARCHAR", "tables (dataset VARCHAR, id VARCHAR, expires BIGINT"):
                self.root.execute(f"CREATE TABLE IF NOT EXISTS {name}.{SIDE}.{kind}, body VARCHAR)")
            self._writing[project] = threading.RLock()

    def projects(self) -> list[str]:
        return sorted(self._writing)

    @contextlib.contextmanager
    def writing(self, project: str) -> Iterator[None]:
        """One writer a project at a time: DuckDB would refuse the second one, BigQuery has it wait."""
        self.create(project)
        with self._writing[project]:
            yield

    @contextlib.contextmanager
    def transaction(self, project: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor whose writes to the project happen together or, on an exception, not at all."""
        with self.writing(project):
            cursor = self.cursor()
            with contextlib.closing(cursor), together(cursor):
                yield cursor

    def _file(self, project: str) -> Path:
        return self._folder / f"{quote(project, safe='')}.duckdb"


@contextlib.contextmanager
def together(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One transaction: what the cursor does happens as a whole or, on an exception, not at all."""
    cursor.execute("BEGIN TRANSACTION")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        raise


def now_ms() -> str:
    """The time as BigQuery's resources have it: milliseconds since 1970, as a string."""
    return str(time.time_ns() // 1_000_000)


def encoded(resource: Any) -> str:
    return json.dumps(resource, separators=(",", ":"), sort_keys=True)
