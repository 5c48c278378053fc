"""What a task's context says of the try that is running."""

from typing import TYPE_CHECKING, Any

from gcp_jobs.ledger.journal import Journal, Task
from gcp_jobs.ledger.pending import Writer
from gcp_jobs.ledger.scrub import Scrubber
from gcp_jobs.ledger.spool import Spool
from gcp_jobs.names import label_value
from gcp_jobs.once import Attempt
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context


def last_try(context: "Context") -> bool:
    """Whether no retry is left after this try."""
    ti = context["ti"]
    return int(ti.try_number) > int(getattr(ti, "max_tries", 0) or 0)


def attempt_of(context: "Context") -> Attempt:
    """Which task wants a run."""
    ti, clears = context["ti"], getattr(context.get("dag_run"), "clear_number", 0)
    index = -1 if ti.map_index is None else int(ti.map_index)
    return Attempt(ti.dag_id, ti.run_id, ti.task_id, index, int(clears or 0))


def journal_of(context: "Context", log: Any) -> Journal:
    """Give what this try writes into the ledger with."""
    ti, dag_run, attempt = context["ti"], context.get("dag_run"), attempt_of(context)
    kind: Any = getattr(dag_run, "run_type", None)
    task = Task(
        attempt.dag_id,
        attempt.run_id,
        attempt.task_id,
        attempt.map_index,
        int(ti.try_number),
        trigger_kind=None if kind is None else str(getattr(kind, "value", kind)),
        triggered_by=getattr(getattr(ti, "task", None), "wanted_by", None)
        or getattr(dag_run, "triggering_user_name", None),
    )
    account = settings().job_service_account
    store = context.get("task_state_store")
    return Journal(task, store, log, Scrubber(_redact), _ledger, account, spool())


def spool() -> Spool:
    """Where records wait that the ledger did not take, beside the task state store."""
    return Spool(settings().airflow_home / "gcp_jobs_ledger_spool")


def _redact(text: str, name: str | None) -> str:
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    return str(redact(text, name))


def _ledger() -> Writer | None:
    from gcp_jobs.ledger.connection import ledger  # brings SQLAlchemy

    return ledger()


def identity_of(ti: Any) -> dict[str, str]:
    """Who runs it, for the job's own use: Cloud Run cannot label a single execution."""
    trace = getattr(ti, "context_carrier", None) or {}
    ours = {
        "GCP_JOBS_DAG_ID": ti.dag_id,
        "GCP_JOBS_RUN_ID": ti.run_id,
        "GCP_JOBS_TASK_ID": ti.task_id,
        "GCP_JOBS_MAP_INDEX": str(-1 if ti.map_index is None else ti.map_index),
        "GCP_JOBS_TRY_NUMBER": str(ti.try_number),
        "GCP_JOBS_KEEP": "" if getattr(getattr(ti, "task", None), "cancel_on_kill", True) else "true",
        "TRACEPARENT": trace.get("traceparent", ""),
    }
    return {name: value for name, value in ours.items() if value}


def labels_of(ti: Any) -> dict[str, str]:
    """Who made it, as labels of a job: by these one finds a DAG's, a run's or a task's jobs."""
    ours = {
        "airflow-dag-id": ti.dag_id,
        "airflow-run-id": ti.run_id,
        "airflow-task-id": ti.task_id,
        "airflow-try-number": str(ti.try_number),
        "managed-by": "gcp-jobs",
    }
    if ti.map_index is not None and ti.map_index >= 0:
        ours["airflow-map-index"] = str(ti.map_index)
    return {name: label_value(value) for name, value in ours.items()}
