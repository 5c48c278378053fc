"""The ledger's tables. A change here needs a migration beside it (a test compares them)."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

HEAD = "0001"
VERSION_TABLE = "gcp_jobs_ledger_version"
metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Utc(sa.types.TypeDecorator[datetime]):
    """A time in UTC, aware on both sides; SQLite keeps none of the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert, and drop the zone where the database cannot keep it."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give it back aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


# Airflow names DAGs, runs and tasks with up to 250 characters
runs = sa.Table(
    "gcp_jobs_runs",
    metadata,
    sa.Column("entry", sa.String(32), primary_key=True),
    sa.Column("dag_id", sa.String(250), nullable=False),
    sa.Column("run_id", sa.String(250), nullable=False),
    sa.Column("task_id", sa.String(250), nullable=False),
    sa.Column("map_index", sa.Integer, nullable=False),
    sa.Column("try_number", sa.Integer, nullable=False),
    sa.Column("clear_number", sa.Integer),
    sa.Column("generation", sa.Integer),
    sa.Column("run_key", sa.String(64)),
    sa.Column("backend", sa.String(32), nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("run", sa.Text),
    sa.Column("run_uid", sa.Text),
    sa.Column("trigger_kind", sa.Text),
    sa.Column("triggered_by", sa.Text),
    sa.Column("service_account", sa.Text),
    sa.Column("machine_type", sa.Text),
    sa.Column("provisioning", sa.Text),
    sa.Column("spec", _json()),
    sa.Column("overrides", _json()),
    sa.Column("digest", sa.String(64)),
    sa.Column("created_at", Utc),
    sa.Column("submitted_at", Utc),
    sa.Column("started_at", Utc),
    sa.Column("ended_at", Utc),
    sa.Column("state", sa.String(32)),
    sa.Column("failure_class", sa.String(32)),
    sa.Column("exit_code", sa.Integer),
    sa.Column("signal", sa.Integer),
    sa.Column("failed_task", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("remedy", sa.Text),
    sa.Column("logs_url", sa.Text),
    sa.Column("cost", sa.Numeric(18, 6, asdecimal=False)),
    sa.Column("currency", sa.String(3)),
    sa.Column("cost_basis", sa.Text),
    sa.Column("replay_of", sa.String(32)),
    sa.CheckConstraint("ended_at >= started_at", name="times"),
    sa.Index(None, "dag_id", "run_id", "task_id"),
    sa.Index(None, "run_uid"),
    sa.Index(None, "created_at"),
    sa.Index(None, "ended_at"),
    sa.Index(None, "replay_of"),
)

attempts = sa.Table(
    "gcp_jobs_attempts",
    metadata,
    sa.Column("entry", sa.String(32), primary_key=True),
    sa.Column("try_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer),
    sa.Column("via", sa.String(16)),
    sa.Column("rung", sa.Text),
    sa.Column("began_at", Utc),
    sa.Column("ended_at", Utc),
    sa.Column("failure_class", sa.String(32)),
    sa.Column("action", sa.String(32)),
    sa.Column("dependency", sa.Text),
    sa.Column("message", sa.Text),
    sa.Index(None, "action", "ended_at"),
)

# no foreign key: an event may tell of a run before its task does, and of runs that are not ours
transitions = sa.Table(
    "gcp_jobs_transitions",
    metadata,
    sa.Column("run_uid", sa.Text, primary_key=True),
    sa.Column("task", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(32), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
)

decisions = sa.Table(
    "gcp_jobs_decisions",
    metadata,
    sa.Column("entry", sa.String(32), primary_key=True),
    sa.Column("verdict", sa.String(32), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
