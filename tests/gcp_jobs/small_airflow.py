"""A small Airflow in this process: the real scheduler, tasks one after the other, all triggers in one event loop."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs.job import Job, run_job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.sdk import DAG
from airflow.sdk.execution_time.supervisor import run_task_in_process
from airflow.sdk.module_loading import import_string
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import func, select

IDLE_LOOPS = 3  # a run is started in one loop of the scheduler, its tasks are queued in the next


class InProcess(BaseExecutor):
    """Runs what the scheduler queues at once and in this process, as `airflow dags test` does."""

    is_local = True

    def __init__(self, dag: DAG) -> None:
        super().__init__(parallelism=32)
        self._dag = dag

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            del self.queued_tasks[workload.ti.key]
            run_task_in_process(ti=workload.ti, task=self._dag.task_dict[workload.ti.task_id])
            self.success(workload.ti.key)

    def start(self) -> None:
        """Nothing to start."""

    def sync(self) -> None:
        """Nothing runs beside."""

    def end(self) -> None:
        """Nothing to end."""


class SmallAirflow:
    """One DAG in it."""

    def __init__(self, dag: DAG) -> None:
        self._dag = dag
        self._executor = InProcess(dag)
        bag = DagBag(dag_folder=os.devnull, bundle_path=Path(os.devnull), bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)

    def start(self, run_id: str) -> None:
        """Start a run, as a user's click does."""
        stored = SerializedDagModel.get_dag(self._dag.dag_id)
        assert stored
        stored.create_dagrun(
            run_id=run_id,
            run_after=datetime.now(UTC) - timedelta(minutes=1),
            run_type=DagRunType.MANUAL,
            state=DagRunState.QUEUED,
            triggered_by=DagRunTriggeredByType.TEST,
        )

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> list[int]:
        """Schedule, wait and resume until nothing is left to do; gives how many tasks waited at once, each time.

        :param meanwhile: called beside each wait, once all its triggers run
        """
        waited: list[int] = []
        while True:
            self._schedule()
            waiting = self._wait(meanwhile)
            if not waiting:
                return waited
            waited.append(waiting)

    def give_up(self) -> int:
        """Schedule, then give all waits up as Airflow does when no triggerer can run them; gives how many."""
        self._schedule()
        mine = select(Trigger.id).join(TaskInstance, TaskInstance.trigger_id == Trigger.id)
        with create_session() as session:
            waiting = session.scalars(mine.where(TaskInstance.dag_id == self._dag.dag_id)).all()
        for trigger_id in waiting:
            Trigger.submit_failure(trigger_id)
        return len(waiting)

    def states(self) -> Mapping[str, int]:
        """How many task instances of the DAG are in which state."""
        with create_session() as session:
            found = session.execute(
                select(TaskInstance.state, func.count())
                .where(TaskInstance.dag_id == self._dag.dag_id)
                .group_by(TaskInstance.state)
            )
            return {str(state): int(count) for state, count in found}

    def _schedule(self) -> None:
        """Let the scheduler work until nothing is left that it could queue."""
        runner = SchedulerJobRunner(
            Job(),
            num_runs=IDLE_LOOPS,
            only_idle=True,
            scheduler_idle_sleep_time=0,
            executors=[self._executor],
        )
        run_job(runner.job, runner._execute)

    def _wait(self, meanwhile: Callable[[], None]) -> int:
        """Run all triggers that tasks of the DAG wait for, to their events, in one event loop."""
        mine = select(Trigger).join(TaskInstance, TaskInstance.trigger_id == Trigger.id)
        with create_session() as session:
            rows = session.scalars(mine.where(TaskInstance.dag_id == self._dag.dag_id)).all()
            triggers = {row.id: import_string(row.classpath)(**row.kwargs) for row in rows}
        if not triggers:
            return 0
        events = fire(list(triggers.values()), meanwhile)
        for trigger_id, event in zip(triggers, events, strict=True):
            with create_session() as session:
                Trigger.submit_event(trigger_id, event, session=session)
        Trigger.clean_unused()
        return len(triggers)


def fire(triggers: Sequence[Any], meanwhile: Callable[[], None] = lambda: None) -> list[TriggerEvent]:
    """The first event of each trigger; all of them run in one event loop."""

    async def first(trigger: Any) -> TriggerEvent:
        event: TriggerEvent = await anext(trigger.run())
        return event

    async def all_of_them() -> list[TriggerEvent]:
        waits = [asyncio.create_task(first(trigger)) for trigger in triggers]
        await asyncio.to_thread(meanwhile)
        return await asyncio.gather(*waits)

    return asyncio.run(all_of_them())
