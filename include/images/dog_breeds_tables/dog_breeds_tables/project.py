"""The dbt project, run in this process: parsed once, its raw table's age looked at, its tables built and checked."""

import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dog_breeds_tables.errors import ChecksFailed, SourceError, TablesError, WarehouseError
from dog_breeds_tables.settings import Settings

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[1] / "dog_breeds"
_TOLD = ("LogModelResult", "LogTestResult", "LogFreshnessResult")
_SUMMARY = ("RunResultFailure", "RunResultError")  # the last line sums up


@dataclass(frozen=True, slots=True)
class Check:
    """One test of the project: "pass", "fail", "warn", "error" or "skipped", and how many rows it refused."""

    name: str
    status: str
    refused: int


class Project:
    """The project, read with `settings`; `work` is a folder for what dbt writes.

    Raises WarehouseError where even reading it fails.
    """

    def __init__(self, settings: Settings, work: str) -> None:
        os.environ |= (
            settings.for_dbt
            | {
                "DBT_PROJECT_DIR": str(PROJECT),
                "DBT_PROFILES_DIR": str(PROJECT),
                "DBT_TARGET_PATH": f"{work}/target",
                "DBT_LOG_PATH": f"{work}/logs",
                "PYTHONWARNINGS": "ignore:resource_tracker",  # would complain, last of all, of a run that ends early
            }
        )
        # only reading large results would want it
        warnings.filterwarnings("ignore", "Cannot create BigQuery Storage client", UserWarning)
        from dbt.cli.main import dbtRunner  # takes seconds to import: only when the settings are right

        self._settings = settings
        self._manifest = self._of(dbtRunner(callbacks=[_tell]), "parse")
        self._dbt = dbtRunner(manifest=self._manifest, callbacks=[_tell])

    def look_at_the_source(self) -> None:
        """Raises SourceError unless the raw table is there and young enough."""
        for result in self._of(self._dbt, "source", "freshness"):
            table = f"{self._settings.raw_dataset}.{result.node.name}"
            if result.status == "runtime error":
                raise _refused(
                    f"{table} cannot be read: {_line(result.message)}", "Run dog_breeds_ingestion first"
                )
            if result.status == "error":
                days = result.age / 86_400
                state = (
                    f"was loaded {days:.0f} days ago, which is too long" if days < 36_500 else "has no rows"
                )
                raise SourceError(f"{table} {state}. Run dog_breeds_ingestion; the tables are as they were")

    def build(self) -> list[Check]:
        """Makes all tables and gives the outcome of every check; raises WarehouseError when BigQuery refused one."""
        results = self._of(self._dbt, "build", "--exclude-resource-type", "unit_test")
        for result in results:
            if result.status == "error":
                raise WarehouseError(
                    f"{result.node.name} could not be made: {_line(result.message)}. The job's identity needs "
                    f"roles/bigquery.jobUser, and roles/bigquery.dataEditor on {self._settings.tables_dataset} and "
                    f"{self._settings.tables_dataset}_checks; a table that could not be made is as it was"
                )
        return [
            Check(result.node.name, str(result.status), result.failures or 0)
            for result in results
            if result.node.resource_type == "test"
        ]

    @staticmethod
    def _of(dbt: Any, *command: str) -> Any:
        quiet = ("--log-level", "none", "--log-level-file", "none", "--no-write-json", "--no-partial-parse")
        done = dbt.invoke([*quiet, *command])
        if done.exception:
            if (end := _end(done.exception)) is not None:
                raise end
            raise _refused(f"dbt {command[0]}: {_line(str(done.exception))}", "See the lines above")
        return done.result


def judged(checks: Iterable[Check], quarantine: str) -> None:
    """Raises ChecksFailed when a check refused rows."""
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        named = ", ".join(f"{check.name} ({check.refused})" for check in failed)
        raise ChecksFailed(
            f"{len(failed)} of the checks failed: {named}. The rows lie in {quarantine} with their reasons; "
            "dim_breeds and breed_temperaments are as they were"
        )


def _end(error: BaseException | None) -> BaseException | None:
    """What was to end the run: dbt catches it too, or stumbles over its own locks on the way."""
    while isinstance(error, Exception):
        error = error.__context__
    return error


def _refused(what: str, todo: str) -> TablesError:
    missing = "Not found: Table" in what or "Not found: Dataset" in what
    return SourceError(f"{what}. {todo}") if missing else WarehouseError(f"{what}. {todo}")


def _line(message: str | None) -> str:
    return " ".join((message or "no details").split())[:600]


def _tell(event: Any) -> None:
    if event.info.name in _TOLD:
        data = event.data
        name = getattr(data, "name", "") or data.node_info.node_name or data.source_name
        level = logging.ERROR if event.info.level == "error" else logging.INFO
        log.log(level, "%s: %s in %.1f s", name, data.status.strip(), data.execution_time)
    elif event.info.level == "error" and event.info.name not in _SUMMARY and event.info.msg.strip():
        log.error("%s", _line(event.info.msg))
