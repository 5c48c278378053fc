"""Brings a ledger's tables up to this release, in one transaction and one process at a time."""

from importlib.resources import files
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gcp_jobs.ledger.schema import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

LOCK = 7_021_946_503_112


def version(connection: sa.Connection) -> str | None:
    """Give the version of the tables, None where there are none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    ).scalar()
    return found


def upgrade(engine: sa.Engine) -> str | None:
    """Run what is missing; gives the version that was there before."""
    with engine.execution_options(gcp_jobs_patience_s=None).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        before = version(connection)
        if before != HEAD:
            from alembic import command

            config = scripts()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before


def scripts() -> "Config":
    """Give Alembic's configuration; the scripts lie in this package, wherever that is installed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("gcp_jobs.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
