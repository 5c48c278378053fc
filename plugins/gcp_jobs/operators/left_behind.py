"""Cancels the job of a task whose worker was killed with no retry left: none of the operator's own code runs then.

Airflow calls this failure callback in its dag-processor, which has the task's XCom and state, but neither its rendered
fields nor its state store. So the job is the one that XCom names (`gcp_jobs_owner`); of a worker that died between the
start and that XCom the ledger knows, else DAG reconcile finds it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.definitions.mappedoperator import MappedOperator

from gcp_jobs.clients import Access
from gcp_jobs.errors import LedgerUnavailable, NotFound
from gcp_jobs.model import ENDING, JobRef
from gcp_jobs.once import CLOCK_SKEW
from gcp_jobs.ownership import ENDED, OWNER

if TYPE_CHECKING:
    from airflow.sdk import Context

    from gcp_jobs.backends.base import JobBackend

log = logging.getLogger(__name__)
Callback = Callable[["Context"], None]


def cancel_left_behind(context: "Context") -> None:
    """Ask for the end of what the dead worker left, unless another try has it by now. Never raises."""
    ti: Any = context["ti"]
    try:
        task = _operator(context)
        if not task.cancel_on_kill or task.attempted:
            return
        access = Access.of(task.gcp_conn_id, task.impersonation_chain, task.transport)
        for ref in set(_left(ti, task.backend_name, access)):
            _cancel(ref, access)
    except Exception as error:
        # the task's other callbacks come next, whatever stands in the way of this one
        log.warning(
            "Whether task %s left a job is not known: %s: %s", ti.task_id, type(error).__name__, error
        )


def and_cancelled(callbacks: Sequence[Callback]) -> list[Callback]:
    """Give a task's own failure callbacks, and ours after them: once, for a mapped task brings it along."""
    return [*(each for each in callbacks if each is not cancel_left_behind), cancel_left_behind]


def _operator(context: "Context") -> Any:
    """The task's operator; a mapped one is made here with its own arguments, as a worker does."""
    task: Any = context["ti"].task
    if not isinstance(task, MappedOperator):
        return task
    mapped, _ = task.expand_input.resolve(dict(context))
    return task.unmap(mapped)


def _left(ti: Any, backend: str, access: Access) -> Iterator[JobRef]:
    """Give the runs that nobody waits for: a new try has another owner, and its task is not failed any more."""
    index = -1 if ti.map_index is None else int(ti.map_index)
    of = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
    owned = BaseXCom.get_one(key=OWNER, map_index=index if index >= 0 else None, **of)
    rows = _open(of | {"map_index": index})
    states = ti.get_task_states(
        dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=index if index >= 0 else None
    )
    (state,) = states.get(ti.run_id, {}).values() or (None,)
    if str(getattr(state, "value", state)) not in ENDED:
        return
    if isinstance(owned, str):
        yield JobRef.parse(owned, backend)
    for row in rows:
        ref = JobRef(row["backend"], row["project"], row["region"], row["job"], row["run"] or "")
        if row["run_uid"]:
            yield ref
        elif row["run_key"]:
            since = row["created_at"] - CLOCK_SKEW
            yield from (status.ref for status in _backend(ref, access).runs(ref, row["run_key"], since))


def _open(of: dict[str, Any]) -> list[dict[str, Any]]:
    from gcp_jobs.ledger import queries  # these bring SQLAlchemy
    from gcp_jobs.ledger.connection import ledger

    kept = ledger()
    try:
        return kept.read(queries.open_of(**of)) if kept else []
    except LedgerUnavailable as error:
        log.info("Only XCom tells which job it was: %s", error)
        return []


def _cancel(ref: JobRef, access: Access) -> None:
    backend = _backend(ref, access)
    try:
        status = backend.get(ref)
    except NotFound:
        return
    if status.terminal or status.state in ENDING:
        return
    log.warning("The worker that waited for %s is dead and no try comes after it: cancelling", ref.name)
    backend.cancel(ref)


def _backend(ref: JobRef, access: Access) -> "JobBackend":
    from gcp_jobs.backends.choice import backend_for

    return backend_for(ref, access)
