"""Runs of jobs, the tries that held them, the states they reached, what was decided about them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _runs()
    op.create_table(
        "gcp_jobs_attempts",
        sa.Column("entry", sa.String(32), nullable=False),
        sa.Column("try_number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("number", sa.Integer),
        sa.Column("via", sa.String(16)),
        sa.Column("rung", sa.Text),
        sa.Column("began_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("failure_class", sa.String(32)),
        sa.Column("action", sa.String(32)),
        sa.Column("dependency", sa.Text),
        sa.Column("message", sa.Text),
        sa.PrimaryKeyConstraint("entry", "try_number", name="pk_gcp_jobs_attempts"),
    )
    op.create_index("ix_gcp_jobs_attempts_action_ended_at", "gcp_jobs_attempts", ["action", "ended_at"])
    op.create_table(
        "gcp_jobs_transitions",
        sa.Column("run_uid", sa.Text, nullable=False),
        sa.Column("task", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("run_uid", "task", "attempt", "state", name="pk_gcp_jobs_transitions"),
    )
    op.create_table(
        "gcp_jobs_decisions",
        sa.Column("entry", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry", "verdict", name="pk_gcp_jobs_decisions"),
    )


def _runs() -> None:
    table = "gcp_jobs_runs"
    columns: list[sa.Column[Any]] = [
        *(sa.Column(name, sa.String(250), nullable=False) for name in ("dag_id", "run_id", "task_id")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("map_index", "try_number")),
        *(sa.Column(name, sa.Integer) for name in ("clear_number", "generation")),
        sa.Column("run_key", sa.String(64)),
        sa.Column("backend", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("project", "region", "job")),
        *(sa.Column(name, sa.Text) for name in ("run", "run_uid", "trigger_kind", "triggered_by")),
        *(sa.Column(name, sa.Text) for name in ("service_account", "machine_type", "provisioning")),
        *(sa.Column(name, JSON) for name in ("spec", "overrides")),
        sa.Column("digest", sa.String(64)),
        *(sa.Column(name, TIME) for name in ("created_at", "submitted_at", "started_at", "ended_at")),
        *(sa.Column(name, sa.String(32)) for name in ("state", "failure_class")),
        *(sa.Column(name, sa.Integer) for name in ("exit_code", "signal", "failed_task")),
        *(sa.Column(name, sa.Text) for name in ("reason", "message", "remedy", "logs_url")),
        sa.Column("cost", sa.Numeric(18, 6)),
        sa.Column("currency", sa.String(3)),
        sa.Column("cost_basis", sa.Text),
        sa.Column("replay_of", sa.String(32)),
    ]
    op.create_table(
        table,
        sa.Column("entry", sa.String(32), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("entry", name=f"pk_{table}"),
        sa.CheckConstraint("ended_at >= started_at", name=op.f(f"ck_{table}_times")),
    )
    for keys in (
        ["dag_id", "run_id", "task_id"], ["run_uid"], ["created_at"], ["ended_at"], ["replay_of"],
    ):  # fmt: skip
        op.create_index(f"ix_{table}_{'_'.join(keys)}", table, keys)


def downgrade() -> None:
    """Remove them with all that they hold."""
    for table in ("decisions", "transitions", "attempts", "runs"):
        op.drop_table(f"gcp_jobs_{table}")
