"""Load jobs: files become rows, all of them or, if one cannot be read, none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.destinations import ADDITION, Destination
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.sources import Source, source
from gcp_emulator.bigquery.sources.base import unreadable
from gcp_emulator.bigquery.types import Field, normal, quoted
from gcp_emulator.json_api import Refusal


def load(
    executor: Executor, config: Mapping[str, Any], paths: Sequence[Path], project: str
) -> dict[str, str]:
    """Run `configuration.load` over files; the job's statistics of it."""
    destination = Destination.of(config, config["destinationTable"], project, "WRITE_APPEND")
    files = source(paths, config)
    with executor.writing(destination.name[0]):
        rows = executor.retried(lambda: _loaded(executor, destination, files, config))
    return {
        "inputFiles": str(len(paths)),
        "inputFileBytes": str(sum(path.stat().st_size for path in paths)),
        "outputRows": str(rows),
        "outputBytes": "0",
        "badRecords": "0",
    }


def insert(executor: Executor, config: Mapping[str, Any], paths: Sequence[Path], project: str) -> int:
    """The same within a transaction that is open; the number of rows."""
    destination = Destination.of(config, config["destinationTable"], project, "WRITE_APPEND")
    return _written(executor, destination, source(paths, config), config)


def _loaded(executor: Executor, destination: Destination, files: Source, config: Mapping[str, Any]) -> int:
    with executor.transaction():
        return _written(executor, destination, files, config)


def _written(executor: Executor, destination: Destination, files: Source, config: Mapping[str, Any]) -> int:
    given = [normal(field) for field in (config.get("schema") or {}).get("fields", ())]
    found = given or _found(executor, destination, files, config)
    fields = destination.open(executor, found, exact=bool(given))
    if files.empty:
        return 0
    try:
        rows = _insert(executor, destination, files, fields, config)
    except duckdb.TransactionException:
        raise
    except duckdb.ConstraintException as error:
        raise unreadable(_required(str(error))) from error
    except duckdb.Error as error:
        raise unreadable(_detail(error)) from error
    executor.touch(destination.name)
    return rows


def _found(
    executor: Executor, destination: Destination, files: Source, config: Mapping[str, Any]
) -> list[Field]:
    """The schema by the files, where the job gives none: for a new table, or for fields that may be added."""
    known = executor.catalog.table(*destination.name)
    replaced = destination.write == "WRITE_TRUNCATE" and not destination.partition
    if files.empty or not (files.typed or config.get("autodetect")):
        return []
    found = files.detect(executor.cursor)
    if known is None or replaced or files.typed:
        return found
    present = {field["name"].lower() for field in known["schema"].get("fields", ())}
    return [
        field for field in found if field["name"].lower() not in present and ADDITION in destination.updates
    ]


def _insert(
    executor: Executor,
    destination: Destination,
    files: Source,
    fields: Sequence[Field],
    config: Mapping[str, Any],
) -> int:
    names = {name.lower(): name for name in files.names(executor.cursor, fields)}
    used = [field for field in fields if field["name"].lower() in names]
    unknown = names.keys() - {field["name"].lower() for field in used}
    if unknown and not config.get("ignoreUnknownValues"):
        first = names[min(unknown)]
        raise unreadable(f"JSON parsing error in row starting at position 0: No such field: {first}.")
    if not used:
        return 0
    columns = ", ".join(quoted(field["name"]) for field in used)
    done = executor.cursor.execute(
        f"INSERT INTO {quoted(*destination.name)} ({columns}) {files.select(used)}"
    ).fetchone()
    return int(done[0]) if done else 0


def _required(text: str) -> str:
    column = text.partition("\n")[0].rpartition(".")[2]
    return f"Missing required field: {column}."


def _detail(error: Exception) -> str:
    """DuckDB's words without its class of error and its advice."""
    first = str(error).partition("\n")[0]
    return first.partition(" Error: ")[2] or first


def explained(error: Refusal) -> Refusal:
    """A load job says `invalid` where a query says `invalidQuery`."""
    return errors.invalid(error.message) if error.reason == "invalidQuery" else error
