"""Airflow's listener: ends the runs of tasks that a user marks (gcp_jobs.marks says why).

Airflow 3.3.2 calls a task's hook for a user's mark with `previous_state=None`, and before its transaction is committed
(airflow/api_fastapi/core_api/services/public/{task_instances,dag_run}.py); workers and the scheduler give the state
that was. For the tasks that it skips where a user ends a whole DAG run it calls none, only the DAG run's, with a
message that says so (SAID_BY_USERS).
"""

import logging
import time
from sched import scheduler
from threading import Lock, Thread
from typing import Any

from airflow.listeners import hookimpl

from gcp_jobs.marks import Mark, look_after

log = logging.getLogger(__name__)

COMMIT_S = 0.3  # by then the mark's transaction is over, as a rule
AGAIN_S = 2.0
PATIENCE_S = 180.0  # for the mark's transaction, and for Google's passing faults
SAID_BY_USERS = "manually set"


class Listener:
    """What Airflow calls: a hook only notes what to look after, and no mark waits for more."""

    def __init__(self) -> None:
        self._due = scheduler(time.monotonic, lambda seconds: time.sleep(min(seconds, COMMIT_S)))
        self._lock = Lock()
        self._thread: Thread | None = None

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any) -> None:
        """A task has failed, perhaps because a user said so."""
        self._note_task(previous_state, task_instance)

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """A task has succeeded, perhaps because a user said so."""
        self._note_task(previous_state, task_instance)

    @hookimpl
    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
        """A task was skipped, perhaps because a user said so."""
        self._note_task(previous_state, task_instance)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """A DAG run has failed, perhaps because a user said so."""
        self._note_run(dag_run, msg)

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """A DAG run has succeeded, perhaps because a user said so."""
        self._note_run(dag_run, msg)

    def _note_task(self, previous_state: Any, ti: Any) -> None:
        if previous_state is None:
            self._note(Mark(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.id))

    def _note_run(self, dag_run: Any, msg: str) -> None:
        if SAID_BY_USERS in msg:
            self._note(Mark(dag_run.dag_id, dag_run.run_id))

    def _note(self, mark: Mark) -> None:
        now = time.monotonic()
        with self._lock:
            self._due.enterabs(now + COMMIT_S, 0, self._look_after, (mark, now + PATIENCE_S))
            if self._thread is None:
                self._thread = Thread(target=self._work, name="gcp-jobs-listener", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """Look after what is due until nothing is left."""
        while True:
            self._due.run()
            with self._lock:
                if self._due.empty():
                    self._thread = None
                    return

    def _look_after(self, mark: Mark, until: float) -> None:
        try:
            if look_after(mark) or time.monotonic() > until:
                return
        except Exception as error:  # the outermost edge: the marks after this one are looked after too
            log.warning("Whether %s left a job is not known: %s: %s", mark, type(error).__name__, error)
            return
        self._due.enter(AGAIN_S, 0, self._look_after, (mark, until))
