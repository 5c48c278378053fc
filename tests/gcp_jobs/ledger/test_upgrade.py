"""The tables come from migrations alone, whoever starts first."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gcp_jobs.ledger.connection import engine_of, open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.schema import HEAD, VERSION_TABLE, metadata
from gcp_jobs.ledger.upgrade import scripts, upgrade, version

from .conftest import run


def test_the_migrations_make_what_the_code_expects(ledger: Ledger) -> None:
    assert ScriptDirectory.from_config(scripts()).get_current_head() == HEAD
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_many_that_start_at_once_make_the_tables_once(url: sa.URL) -> None:
    with ThreadPoolExecutor(6) as pool:
        before = list(pool.map(lambda _: upgrade(open_ledger(url).engine), range(6)))
    assert sorted(before, key=str) == [HEAD] * 5 + [None]


def test_the_embedded_ledger_needs_no_command(tmp_path: Path) -> None:
    ledgers = [
        open_ledger(sa.URL.create("sqlite", database=str(tmp_path / "sub" / "x.db")), patience_s=30)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda here: here.write([run()]), ledgers)) == [[]] * 4


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite does not wait for whoever changes the mode of a new file; some of twelve found it locked."""
    together = Barrier(12)

    def opened(url: sa.URL) -> None:
        together.wait(30)
        with engine_of(url).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS x (y)")

    with ThreadPoolExecutor(12) as pool:
        for number in range(20):
            url = sa.URL.create("sqlite", database=str(tmp_path / f"{number}.db"))
            assert list(pool.map(opened, [url] * 12)) == [None] * 12


def test_it_goes_back_and_forth(ledger: Ledger) -> None:
    config = scripts()
    with ledger.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert [name for name in sa.inspect(connection).get_table_names() if name in metadata.tables] == []
        assert version(connection) is None
    assert upgrade(ledger.engine) is None
