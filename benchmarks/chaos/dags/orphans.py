"""DAG `reconcile` as a night of chaos runs it: cancels what nobody waits for as soon as it is a few seconds old."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from gcp_jobs.operators.reconcile import ReconcileOperator

with DAG(
    "orphans",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={"cancel_orphans": True, "grace_minutes": 0.1, "dry_run": False},
):
    ReconcileOperator(task_id="reconcile", retries=20, retry_delay=timedelta(seconds=1))
