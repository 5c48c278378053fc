"""Runs what GoogleSQL statements become, with the resources that belong to it, all or nothing."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb

from gcp_emulator.bigquery import errors, limits, sql
from gcp_emulator.bigquery.catalog import Catalog, Name, Records, Resource, merged, none
from gcp_emulator.bigquery.database import CONFLICT_S, Database, together
from gcp_emulator.bigquery.session import Session
from gcp_emulator.bigquery.types import Field, described
from gcp_emulator.json_api import Refusal

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
VERBS = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}
DML = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE_TABLE"})
TRANSACTIONS = {"BEGIN_TRANSACTION": True, "COMMIT_TRANSACTION": False, "ROLLBACK_TRANSACTION": False}


@dataclass(slots=True)
class Outcome:
    """What a statement did. `fields` is None where it gives no rows, `changed` says which rows DML changed."""

    kind: str
    fields: list[Field] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    target: Name | None = None
    ddl: str = ""
    references: tuple[Name, ...] = ()

    @property
    def affected(self) -> int | None:
        return sum(self.changed.values()) if self.kind in DML else None


class Executor:
    """For one session, at the location of one job ("": anywhere)."""

    def __init__(
        self,
        database: Database,
        session: Session,
        location: str = "",
        jobs: Callable[[str], list[Resource]] = none,
    ) -> None:
        self._database = database
        self.session = session
        self.cursor = session.cursor
        self.records = Records(session.cursor)
        self.catalog = Catalog(database, session.cursor, location, jobs)

    def run(self, translation: sql.Translation) -> Outcome:
        """Refusal where DuckDB refuses; the data is then as it was."""
        outcome = Outcome(
            translation.kind,
            target=translation.target,
            ddl=translation.ddl,
            references=tuple(translation.references),
        )
        if translation.kind in TRANSACTIONS:
            self._turn(translation.kind, translation.steps[0])
        elif translation.query is not None:
            self.step(translation.query)
            outcome.fields = distinct(described(self.cursor.description))
            outcome.rows = self.cursor.fetchall()
            limits.given(outcome.rows, outcome.fields)
        elif translation.target is None or translation.temporary:
            self._statement(translation, outcome)
        else:
            with self.writing(translation.target[0]):
                self.retried(lambda: self._write(translation, outcome))
        return outcome

    def _turn(self, kind: str, step: str) -> None:
        """Begin or end a transaction; one that cannot be committed is undone."""
        try:
            self.step(step)
            self.session.in_transaction = TRANSACTIONS[kind]
            self._touch_later(committed=kind == "COMMIT_TRANSACTION")
        except duckdb.TransactionException as error:
            if kind == "COMMIT_TRANSACTION":
                self.session.in_transaction = False
                with contextlib.suppress(duckdb.Error):
                    self.cursor.execute("ROLLBACK")
            raise sql.from_duckdb(error) from error

    def _write(self, translation: sql.Translation, outcome: Outcome) -> None:
        with self.transaction():
            self._statement(translation, outcome)
            if translation.ddl != "SKIP":
                self._record(translation)

    def _statement(self, translation: sql.Translation, outcome: Outcome) -> None:
        for step in translation.steps:
            self.step(step)
        if translation.kind in DML:
            outcome.changed = changes(translation.kind, self.cursor.fetchall())

    def step(self, text: str) -> None:
        try:
            self.cursor.execute(text)
        except duckdb.TransactionException:
            raise
        except duckdb.Error as error:
            raise sql.from_duckdb(error) from error

    def _record(self, translation: sql.Translation) -> None:
        """The resources of what a DDL statement made, changed or dropped."""
        assert translation.target is not None
        project, dataset, table = name = translation.target
        verb = translation.kind.partition("_")[0]
        told: Resource = dict(translation.resource or {})
        if not table:
            self._record_dataset(verb, project, dataset, told)
        elif verb == "DROP":
            self.records.drop_table(name)
        elif verb == "CREATE":
            self.put_table(name, told)
            if translation.kind == "CREATE_TABLE_AS_SELECT":
                self._held(name)
        elif verb == "ALTER":
            self._altered(name, told)
        elif translation.kind in DML:
            self.touch(name)

    def _record_dataset(self, verb: str, project: str, dataset: str, told: Resource) -> None:
        if verb == "DROP":
            self.records.drop_dataset(project, dataset)
        else:
            known = self.catalog.dataset(project, dataset) or {}
            here = {"location": self.catalog.location} if self.catalog.location else {}
            self.records.put_dataset(project, dataset, {**here, **known, **told})

    def put_table(self, name: Name, told: Resource) -> None:
        """Keep the resource of a table that was made anew; its columns are read from DuckDB."""
        project, dataset, _ = name
        around = self.catalog.dataset(project, dataset) or {}
        kind = "VIEW" if "view" in told else "MATERIALIZED_VIEW" if "materializedView" in told else "TABLE"
        life = around.get("defaultTableExpirationMs")
        if life and kind == "TABLE" and "expirationTime" not in told:
            told = {**told, "expirationTime": str(time.time_ns() // 1_000_000 + int(life))}
        told = {"location": around.get("location"), "type": kind, **told}
        self.records.put_table(name, {**told, "schema": self._schema(name, told)})

    def _altered(self, name: Name, told: Resource) -> None:
        known = self.catalog.body(*name) or {}
        renamed = told.pop("tableReference", {}).get("tableId")
        fields = [*(told.pop("schema", None) or {}).get("fields", ())]
        changed = {field["name"].lower() for field in fields}
        rest = known.get("schema", {}).get("fields", ())
        fields += [field for field in rest if field["name"].lower() not in changed]
        if renamed:
            self.records.drop_table(name)
            name = (name[0], name[1], renamed)
        told = {**known, **told, "schema": {"fields": fields}}
        self.records.put_table(name, {**told, "schema": self._schema(name, told)})

    def _schema(self, name: Name, told: Resource) -> Resource:
        known = (told.get("schema") or {}).get("fields") or ()
        return {"fields": merged(self.records.fields(name), known)}

    def _touch_later(self, *, committed: bool) -> None:
        """Of the tables that a transaction has changed, when it is over."""
        names = sorted(self.session.touched)
        self.session.touched.clear()
        for name in names if committed else ():
            with self.writing(name[0]), self.transaction():
                self.touch(name)

    def _held(self, name: Name) -> None:
        body = self.catalog.body(*name) or {}
        limits.held(self.cursor, name, body.get("schema", {}).get("fields", ()))

    def touch(self, name: Name) -> None:
        """The time of a table's last change, which DML moves too.

        A transaction that is open leaves it to its end: two that only insert would else be in each other's way.
        """
        self._held(name)
        if self.session.in_transaction:
            self.session.touched.add(name)
        elif known := self.catalog.body(*name):
            self.records.put_table(name, known)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """The session's own if it has one open, else one for what follows."""
        if self.session.in_transaction:
            yield
            return
        with together(self.cursor):
            yield

    @contextlib.contextmanager
    def writing(self, project: str) -> Iterator[None]:
        """The project's write lock, and its expired tables gone."""
        with self._database.writing(project):
            if not self.session.in_transaction:
                self.records.expire(project)
            yield

    def retried(self, write: Callable[[], Result]) -> Result:
        """BigQuery queues a statement behind another one's changes; a transaction of ours is given up at once."""
        end = time.monotonic() + CONFLICT_S
        while True:
            try:
                return write()
            except duckdb.TransactionException as error:
                if self.session.in_transaction or time.monotonic() > end:
                    raise sql.from_duckdb(error) from error
            time.sleep(0.05)


def changes(kind: str, rows: list[tuple[Any, ...]]) -> dict[str, int]:
    """Rows by what happened to them, under the names of dmlStats; a MERGE names it for each, others count."""
    if kind == "MERGE":
        done = Counter(str(action) for action, *_ in rows)
        return {name: done[verb] for verb, name in VERBS.items()}
    return {VERBS.get(kind, "deleted"): int(rows[0][0] or 0) if rows else 0}


def distinct(fields: list[Field]) -> list[Field]:
    """Refusal where two columns of a result have one name."""
    seen = Counter(each["name"].lower() for each in fields)
    twice = dict.fromkeys(each["name"] for each in fields if seen[each["name"].lower()] > 1)
    if twice:
        told = "Duplicate column names in the result are not supported. Found duplicate(s): "
        raise errors.invalid_query(told + ", ".join(twice))
    return fields


def explained(error: Exception) -> Refusal:
    """Whatever went wrong, as its caller hears of it.

    What nobody has foreseen is no internalError: clients try those again for ten minutes.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, duckdb.Error):
        return errors.from_duckdb(error)
    logger.error("BigQuery: unforeseen", exc_info=error)
    return errors.unsupported(f"this ({type(error).__name__}: {error})")
