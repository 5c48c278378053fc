"""Runs migrations in the transaction of the connection that gcp_jobs.ledger.upgrade brings along."""

from alembic import context

from gcp_jobs.ledger.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
