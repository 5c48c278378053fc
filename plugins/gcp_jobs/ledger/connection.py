"""Which database the ledger is: an Airflow connection, or on a laptop a SQLite file in Airflow's home."""

import logging
import sqlite3
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcp_jobs.errors import SettingsError
from gcp_jobs.settings import Settings, settings, variable

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Connection

    from gcp_jobs.ledger.ledger import Ledger

FILE = "gcp_jobs_ledger.db"
FILE_PATIENCE_S = 5.0
LOCK_S = 10.0
BUSY_S = 0.02
log = logging.getLogger(__name__)

# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; a connection's other extras are hooks'
_LIBPQ = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "gssencmode", "host", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "options", "passfile", "service",
        "sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout",
    }
)  # fmt: skip


@cache
def ledger() -> "Ledger | None":
    """Give this process' ledger, None where there is none (see setting ledger_conn_id).

    :raises SettingsError: the connection is no database that a ledger can be
    """
    here = settings()
    connection = _connection(here.ledger_conn_id) if here.ledger_conn_id else None
    if connection is not None:
        return open_ledger(url_of(connection, here.airflow_home), here.airflow_home)
    if here.ledger_conn_id and here.environment == "local":
        return open_ledger(_embedded(here), here.airflow_home)
    if here.ledger_conn_id:
        log.info(
            "No ledger is kept: Airflow has no connection %s (%s names another, empty: none is wanted)",
            here.ledger_conn_id,
            variable("ledger_conn_id"),
        )
    return None


def open_ledger(url: "sa.URL", home: Path | None = None, **options: Any) -> "Ledger":
    """Give the ledger at a URL; nothing is asked of it yet. `home`: where its failures are marked."""
    from gcp_jobs.ledger.circuit import Circuit
    from gcp_jobs.ledger.ledger import Ledger

    if url.get_backend_name() == "sqlite":  # a file is never away, only locked for a moment
        return Ledger(engine_of(url), circuit=Circuit(rest_s=1), **{"patience_s": FILE_PATIENCE_S, **options})
    mark = home / ".gcp_jobs_ledger_failed" if home else None
    return Ledger(engine_of(url), circuit=Circuit(mark), **options)


def engine_of(url: "sa.URL") -> "sa.Engine":
    """Build an engine without a pool: tasks are short processes, and some fork."""
    import sqlalchemy as sa

    lite = url.get_backend_name() == "sqlite"
    if lite and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    arguments = {"timeout": LOCK_S} if lite else {"connect_timeout": 2, "application_name": "gcp-jobs-ledger"}
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=arguments)
    if lite:
        sa.event.listen(engine, "connect", _on_sqlite_connect)
    sa.event.listen(engine, "begin", _on_sqlite_begin if lite else _on_postgresql_begin)
    return engine


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's driver would begin transactions of its own, and too late
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=NORMAL")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the mode; while others open the same new file SQLite refuses that at once, whatever its time-out says."""
    until = time.monotonic() + LOCK_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(BUSY_S)


def _on_sqlite_begin(connection: "sa.Connection") -> None:
    """A writer takes its place in the queue at once: one that read first could not, and would fail."""
    reads = connection.get_execution_options().get("gcp_jobs_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _on_postgresql_begin(connection: "sa.Connection") -> None:
    """Let the server give up as we do (SET LOCAL also holds behind a pooler such as PgBouncer)."""
    patience = connection.get_execution_options().get("gcp_jobs_patience_s")
    if patience:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(patience * 1000)}")


def url_of(connection: "Connection", home: Path) -> "sa.URL":
    """Read a connection of type postgres or sqlite.

    :raises SettingsError: it is of another type, or no driver is installed
    """
    from sqlalchemy import URL

    kind = (connection.conn_type or "").replace("-", "_")
    if kind == "sqlite":
        return URL.create("sqlite", database=str(home / (connection.host or connection.schema or FILE)))
    if kind not in ("postgres", "postgresql"):
        raise SettingsError(
            f"a ledger cannot be of connection type {connection.conn_type!r}",
            where=f"connection {connection.conn_id}",
            todo="Allowed: postgres, sqlite.",
        )
    extra = {k: str(v) for k, v in connection.extra_dejson.items() if k in _LIBPQ}
    return URL.create(
        f"postgresql+{_driver()}",
        connection.login or None,
        connection.password or None,
        connection.host or None,
        connection.port,
        connection.schema or None,
        extra,
    )


def _driver() -> str:
    for name in ("psycopg2", "psycopg"):
        if find_spec(name):
            return name
    raise SettingsError(
        "no driver for PostgreSQL is installed", todo="Install apache-airflow-providers-postgres."
    )


def _connection(name: str) -> "Connection | None":
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None


def _embedded(here: Settings) -> "sa.URL":
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(here.airflow_home / FILE))
