"""The job run whole, in this process, against the sample API and a DuckDB file of the test's own."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from breeds_api.server import BreedsServer

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")

from dlt_ingestion.job import main

IMAGE = Path(main.__code__.co_filename).parents[1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a user sees of a run: its exit code and its log."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def message(self) -> str:
        return str(self.last["message"])

    def said(self, text: str) -> bool:
        return any(text in line["message"] for line in self.lines)


Ingest = Callable[..., Outcome]


@dataclass(frozen=True, slots=True)
class Database:
    """The DuckDB file that the job loads into."""

    path: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()

    def ids(self) -> list[int]:
        return [
            row[0] for row in self.rows("SELECT row_id FROM dog_breeds_raw.dog_breeds_resource ORDER BY 1")
        ]


@pytest.fixture
def api() -> Iterator[BreedsServer]:
    with BreedsServer() as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "destination" / "breeds.duckdb")


@pytest.fixture
def ingest(capsys: pytest.CaptureFixture[str], database: Database) -> Iterator[Ingest]:
    """Runs the job with the environment given, in this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(url: str, **environ: object) -> Outcome:
        defaults = {"DESTINATION": "duckdb", "DUCKDB_PATH": str(database.path), "RETRY_WAIT_S": "0.01"}
        given = {name: str(value) for name, value in environ.items()}
        capsys.readouterr()
        code = main(defaults | {"DOG_API_BASE_URL": url} | given)
        return Outcome(code, [json.loads(line) for line in capsys.readouterr().out.splitlines()])

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
