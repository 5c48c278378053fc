"""Writes records and answers questions, in bounded time: whoever is not answered goes on without."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from gcp_jobs.errors import LedgerUnavailable
from gcp_jobs.ledger.circuit import Circuit
from gcp_jobs.ledger.record import Record, joined
from gcp_jobs.ledger.schema import HEAD
from gcp_jobs.ledger.upgrade import upgrade, version
from gcp_jobs.ledger.upsert import statement

PATIENCE_S = 1.0
T = TypeVar("T")


class Ledger:
    """One database of records. Safe to share between threads; processes make their own.

    :param patience_s: longest time that a write or a read may take, in seconds
    :param circuit: keeps everybody from asking a database that has just failed
    """

    def __init__(
        self, engine: sa.Engine, *, patience_s: float = PATIENCE_S, circuit: Circuit | None = None
    ) -> None:
        self.engine = engine.execution_options(gcp_jobs_patience_s=patience_s)
        self.patience_s = patience_s
        self.circuit = circuit or Circuit()
        self._ready = False

    def __str__(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    def patient(self, seconds: float) -> "Ledger":
        """Give the same for somebody who would rather wait, whatever others met a moment ago."""
        return Ledger(self.engine, patience_s=seconds)

    @property
    def embedded(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    def write(self, records: Iterable[Record]) -> list[tuple[Record, str]]:
        """Write all in one transaction; gives those that the database will never take, each with its reason.

        :raises LedgerUnavailable: nothing is known to be written; the same may be written again later
        """
        batch = joined(records)

        def work() -> list[tuple[Record, str]]:
            try:
                with self.engine.begin() as connection:
                    self._put(connection, batch)
            except DBAPIError as error:
                if not _refused(error):
                    raise
                return self._one_by_one(batch)
            return []

        return self._asked(work)

    def read(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Give the rows of a query (gcp_jobs.ledger.queries).

        :raises LedgerUnavailable: no answer
        """

        def work() -> list[dict[str, Any]]:
            with self.engine.execution_options(gcp_jobs_reads=True).begin() as connection:
                answer = connection.execute(query)
                names = list(answer.keys())
                return [dict(zip(names, row, strict=True)) for row in answer]

        return self._asked(work)

    def _asked(self, work: Callable[[], T]) -> T:
        if rest := self.circuit.rests_s:
            raise LedgerUnavailable(
                "the ledger did not answer a moment ago",
                where=str(self),
                todo=f"Asked again in {rest:.0f} s.",
            )
        try:
            self._prepare()
            answer = within(self.patience_s, work)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self.circuit.failed()
            raise LedgerUnavailable(_first_line(error), where=str(self), todo=self._todo(error)) from error
        self.circuit.held()
        return answer

    def _prepare(self) -> None:
        """The embedded one makes its own tables, which may take longer than a write."""
        if self._ready or not self.embedded:
            return
        with self.engine.execution_options(gcp_jobs_reads=True).begin() as connection:
            found = version(connection)
        if found is None or found < HEAD:
            upgrade(self.engine)
        self._ready = True

    def _put(self, connection: sa.Connection, records: Iterable[Record]) -> None:
        for record in records:
            connection.execute(statement(record, connection.dialect.name))

    def _one_by_one(self, records: Iterable[Record]) -> list[tuple[Record, str]]:
        refused = []
        for record in records:
            try:
                with self.engine.begin() as connection:
                    self._put(connection, [record])
            except DBAPIError as error:
                if not _refused(error):
                    raise
                refused.append((record, _first_line(error)))
        return refused

    def _todo(self, error: Exception) -> str:
        if "no such table" in str(error) or "UndefinedTable" in str(error):
            return "Make its tables: `python -m gcp_jobs.ledger upgrade`."
        return "Jobs run on; what they do is kept and written later."


def within(seconds: float, work: Callable[[], T]) -> T:
    """Give what `work` gives or raises, TimeoutError when it takes longer; it then goes on alone in its thread."""
    answer: list[T] = []
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=run, name="gcp-jobs-ledger", daemon=True)
    thread.start()
    thread.join(seconds)
    if trouble:
        raise trouble[0]
    if not answer:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answer[0]


def _refused(error: DBAPIError) -> bool:
    """Whether the data itself is at fault, so that no later try would fare better."""
    return isinstance(error, IntegrityError | sa.exc.DataError)


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
