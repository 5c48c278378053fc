"""A small catalogue over real DuckDB, and what the REST side does with a translation, as far as tests need it."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from gcp_emulator.bigquery import errors, sql
from gcp_emulator.bigquery.types import Field, described
from gcp_emulator.json_api import Refusal

PROJECT = "a-project"


class World:
    """One project; the catalogue, the session and the executor of a statement in one."""

    location = "US"
    id = "a-session"

    def __init__(self, root: duckdb.DuckDBPyConnection) -> None:
        self.cursor = root.cursor()
        self.variables: dict[str, Any] = {}
        self.temporary: dict[str, list[Field]] = {}
        self.resources: dict[str, dict[str, dict[str, Any]]] = {}
        self.ran: list[str] = []
        self.aborted = False
        self.affected: int | None = None
        self.changed: Mapping[str, int] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.fields: list[Field] = []
        self.last: sql.Translation | None = None

    def abort(self) -> None:
        self.aborted = True

    # The catalogue

    def datasets(self, project: str) -> list[dict[str, Any]]:
        return [self.need_dataset(project, name) for name in self.resources]

    def dataset(self, project: str, dataset: str) -> dict[str, Any] | None:
        if project != PROJECT or dataset not in self.resources:
            return None
        return {"datasetReference": {"projectId": project, "datasetId": dataset}, "location": "US"}

    def need_dataset(self, project: str, dataset: str) -> dict[str, Any]:
        found = self.dataset(project, dataset)
        if found is None:
            raise errors.not_found("Dataset", f"{project}:{dataset}", self.location)
        return found

    def tables(self, project: str, dataset: str) -> list[dict[str, Any]]:
        return list(self.resources[dataset].values())

    def table(self, project: str, dataset: str, table: str) -> dict[str, Any] | None:
        return self.resources.get(dataset, {}).get(table) if project == PROJECT else None

    def need_table(self, project: str, dataset: str, table: str) -> dict[str, Any]:
        self.need_dataset(project, dataset)
        found = self.table(project, dataset, table)
        if found is None:
            raise errors.not_found("Table", f"{project}:{dataset}.{table}", self.location)
        return found

    # Running

    def names(self, parameters: Sequence[Mapping[str, Any]] = ()) -> sql.Names:
        return sql.Names(self, PROJECT, (PROJECT, "d"), parameters, self)

    def run(self, translation: sql.Translation) -> "World":
        self.last = translation
        self.ran.append(translation.kind)
        self.affected = None
        for step in translation.steps:
            try:
                self.cursor.execute(step)
            except duckdb.Error as error:
                raise sql.from_duckdb(error) from error
        if translation.query is not None:
            self.fields = described(self.cursor.description)
            self.rows = self.cursor.fetchall()
        elif translation.kind == "MERGE":
            counted = Counter(row[0] for row in self.cursor.fetchall())
            self.changed = {
                "inserted": counted["INSERT"],
                "updated": counted["UPDATE"],
                "deleted": counted["DELETE"],
            }
            self.affected = sum(self.changed.values())
        elif translation.kind in ("INSERT", "UPDATE", "DELETE", "TRUNCATE_TABLE"):
            self.affected = (self.cursor.fetchone() or (0,))[0]
        if translation.target and translation.ddl not in ("SKIP", ""):
            self._recorded(translation)
        return self

    def _recorded(self, translation: sql.Translation) -> None:
        project, dataset, table = translation.target or ("", "", "")
        told = dict(translation.resource or {})
        if not table:
            self.resources.pop(dataset, None)
            if translation.ddl == "CREATE":
                self.resources[dataset] = {}
            return
        known = self.resources[dataset].pop(table, {})
        if translation.ddl == "DROP":
            return
        table = told.pop("tableReference", {}).get("tableId", table)
        self.cursor.execute(f'SELECT * FROM "{project}"."{dataset}"."{table}" LIMIT 0')
        noted = {
            each["name"]: each
            for each in [
                *known.get("schema", {}).get("fields", ()),
                *told.get("schema", {}).get("fields", ()),
            ]
        }
        fields = [{**field, **noted.get(field["name"], {})} for field in described(self.cursor.description)]
        kind = "VIEW" if "view" in told else "TABLE"
        rest = known if translation.ddl == "ALTER" else {}
        self.resources[dataset][table] = {
            "type": kind, **rest, **told, "schema": {"fields": fields}, "numRows": "0", "creationTime": "1700000000000",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
        }  # fmt: skip

    def do(self, text: str, *parameters: Mapping[str, Any]) -> "World":
        """A text as a job runs it."""
        statements = sql.parse(text)
        names = self.names(parameters)
        if sql.is_script(statements):
            try:
                sql.run_script(statements, names, self.run)
            except Refusal:
                with contextlib.suppress(duckdb.Error):
                    self.cursor.execute("ROLLBACK")
                raise
            return self
        return self.run(sql.translate(statements[0], names))

    def all(self, text: str, *parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self.do(text, *parameters).rows

    def refused(self, text: str, *parameters: Mapping[str, Any]) -> str:
        """The message of a refusal."""
        try:
            self.do(text, *parameters)
        except Refusal as refusal:
            return refusal.message
        raise AssertionError(f"not refused: {text} gave {self.rows}")


def root() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    sql.functions.install(connection)
    connection.execute(f"ATTACH ':memory:' AS \"{PROJECT}\"")
    return connection


def world(connection: duckdb.DuckDBPyConnection) -> World:
    """With an empty dataset `d`."""
    connection.execute(f'DROP SCHEMA IF EXISTS "{PROJECT}"."d" CASCADE')
    connection.execute(f'DROP SCHEMA IF EXISTS "{PROJECT}"."e" CASCADE')
    made = World(connection)
    made.do("CREATE SCHEMA d")
    return made
