"""Finds jobs that run although nobody waits for them, and ends that the ledger has missed."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from gcp_jobs.operators.reconcile import ReconcileOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings

DOC = """
### Reconcile

Asks the cloud what runs of ours (Batch and Cloud Run, in the places of `GCP_JOBS_RECONCILE_PLACES` and in those the
ledger knows), asks Airflow about the task behind each, and the ledger what it holds. XCom `return_value` has `counts`
and `issues`, each with resource_type, id, severity, message and action; the log has them as lines.

- An **orphan** runs on although its task has ended, is gone, or waits for another job. It is reported; with
  `cancel_orphans` it is cancelled once it is older than `grace_minutes`, and its end is confirmed. Jobs of tasks with
  `cancel_on_kill=False` are left alone.
- A job that **neither Airflow nor the ledger knows** may belong to another Airflow in the same project. It is
  reported and never cancelled.
- An **open run in the ledger** that is over in the cloud, and that no task will close any more, is closed.

A second run finds nothing left to repair.

**Owner:** data-platform. **Schedule:** `GCP_JOBS_RECONCILE_SCHEDULE`, hourly by default.

**When it fails**, no place could be looked at; what stood in the way is in the issues. Nothing else depends on it.

| message | what to do |
|---|---|
| not allowed to list the jobs | grant the role that the message names |
| its task is failed, left or reported | look at the job; cancel it by hand, or run with `cancel_orphans` |
| cancel asked for, its end is not confirmed | look at the job in the console; the next run looks again |
| the ledger did not answer | see `GCP_JOBS_LEDGER_CONN_ID` |
"""

params = {
    "cancel_orphans": Param(
        False, type="boolean", title="Cancel orphans", description="Cancel what runs and nobody waits for.",
    ),
    "grace_minutes": Param(
        30, type="number", minimum=0, maximum=100_000, title="Grace",
        description="Minutes that a run must be old before it is cancelled or its record repaired.",
    ),
    "dry_run": Param(False, type="boolean", title="Dry run", description="Only say what would be done."),
}  # fmt: skip

with DAG(
    "reconcile",
    description="Report jobs that nobody waits for, close records that nobody closed",
    doc_md=DOC,
    schedule=CronTriggerTimetable(cron, timezone="UTC") if (cron := settings().reconcile_schedule) else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 1, "retry_delay": timedelta(minutes=5)},
    params=params,
    tags=["operations"],
):
    ReconcileOperator(
        task_id="reconcile",
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        doc_md="Compares the cloud, Airflow and the ledger.",
    )
