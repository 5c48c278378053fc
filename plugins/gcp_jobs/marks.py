"""The run of a task that a user marked ends, whoever else is there to hear of it.

A worker or a trigger hears of the mark within seconds, and cancels too (gcp_jobs.ownership). Where the worker's machine
is gone, or no triggerer runs the trigger, no code of the operator hears anything; but the API server that took the
user's word is there, with Airflow's database. What it may not do at Google is left to them, and to DAG reconcile.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from gcp_jobs.errors import EmulatorUnreachable, GcpJobsError, NotFound, TransientApiError
from gcp_jobs.model import ENDING, JobRef
from gcp_jobs.ownership import ENDED, OWNER

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from gcp_jobs.backends.census import Maker, Turns
    from gcp_jobs.clients import Access

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a user marked: one try of a task (`try_id`: Airflow's id of it), else what a DAG run had not finished."""

    dag_id: str
    run_id: str
    task_id: str | None = None
    map_index: int | None = None
    try_id: Any = None

    def __str__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index is not None and self.map_index >= 0 else ""
        return " / ".join(part for part in (self.dag_id, self.run_id, self.task_id) if part) + index


@dataclass(frozen=True, slots=True)
class Left:
    """A run that a marked task answered for, and how the task reached Google."""

    maker: "Maker"
    ref: JobRef
    access: "Access"


def look_after(mark: Mark) -> bool:
    """Ask for the end of what marked tasks have left running; False where that is to be tried again later."""
    from airflow.utils.session import create_session

    with create_session() as session:
        found = _left(mark, session)
    settled = found is not None
    for left in found or ():
        try:
            _cancel(left)
        except (TransientApiError, EmulatorUnreachable) as error:
            log.warning("%s Trying again.", error)
            settled = False
        except GcpJobsError as error:
            log.warning("The run of %s is left to DAG reconcile: %s", left.maker, error)
    return settled


def _left(mark: Mark, session: "Session") -> list[Left] | None:
    """Give what the marked tasks owned last; None while the mark is not committed."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.state import State, TaskInstanceState
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    rendered = joinedload(TaskInstance.rendered_task_instance_fields)
    tries = select(TaskInstance).options(rendered).filter_by(dag_id=mark.dag_id, run_id=mark.run_id)
    if mark.try_id:  # cleared meanwhile, it has another id: the next try sees to its run
        tasks = list(session.scalars(tries.filter_by(id=mark.try_id)))
        committed = all(task.state in ENDED for task in tasks)
    else:
        run = session.scalar(select(DagRun).filter_by(dag_id=mark.dag_id, run_id=mark.run_id))
        tasks = list(session.scalars(tries.filter_by(state=TaskInstanceState.SKIPPED)))
        committed = run is None or run.state in State.finished_dr_states
    if not committed:
        return None
    owners: Iterable[Any] = session.scalars(
        XComModel.get_many(
            run_id=mark.run_id,
            key=OWNER,
            dag_ids=mark.dag_id,
            task_ids=mark.task_id,
            map_indexes=mark.map_index,
        )
    )
    owned = {(row.task_id, row.map_index): XComModel.deserialize_value(row) for row in owners}
    return [_left_by(task, owned[key]) for task in tasks if (key := (task.task_id, task.map_index)) in owned]


def _left_by(task: Any, run: str) -> Left:
    from gcp_jobs.backends.census import Maker
    from gcp_jobs.clients import Access

    said = getattr(task.rendered_task_instance_fields, "rendered_fields", {})
    access = Access.of(
        said.get("gcp_conn_id", Access().gcp_conn_id), said.get("impersonation_chain"), said.get("transport")
    )
    backend = "cloud_run" if "/executions/" in run else "batch"
    maker = Maker(task.dag_id, task.run_id, task.task_id, task.map_index)
    return Left(maker, JobRef.parse(run, backend), access)


def _cancel(left: Left) -> None:
    """Cancel a run that goes on, if it is the task's own and was not meant to outlive it."""
    from gcp_jobs.backends.census import found
    from gcp_jobs.backends.choice import backend_for

    _turns().wait()
    try:
        run = found(left.access, left.ref)
    except NotFound:
        return
    if run.status.terminal or run.status.state in ENDING or run.keep or run.maker != left.maker:
        return
    log.info("A user ended %s: cancelling %s", left.maker, left.ref.name)
    backend_for(left.ref, left.access).cancel(left.ref)


@cache
def _turns() -> "Turns":
    """Many marks at once do not use up the quota of reads."""
    from gcp_jobs.backends.census import Turns
    from gcp_jobs.pace import Pace
    from gcp_jobs.settings import settings

    return Turns(Pace(settings().job_reads_per_minute).turn, time.sleep)
