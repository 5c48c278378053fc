"""A worker of the small Airflow: one try of one of our operators, or its resumption, in a process of its own."""

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from benchmarks.chaos.line import Line

from gcp_jobs.backends.census import Maker, Turns, census
from gcp_jobs.backends.choice import backend_for
from gcp_jobs.clients import Access
from gcp_jobs.model import JobStatus
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.job import JobOperator
from gcp_jobs.pace import Pace
from gcp_jobs.reconcile import Reconciliation, Sight
from gcp_jobs.waiting import drive, end

IMAGE = "gcp-emulator/pretend"
OPERATORS: dict[str, Any] = {"cloud_run": CloudRunJobOperator, "batch": BatchJobOperator}


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do; `event` is the trigger's where a wait is over."""

    run_id: str
    backend: str
    name: str
    args: tuple[str, ...]
    deferrable: bool
    verbose: bool
    try_number: int
    max_tries: int
    clear_number: int
    token: bool = False
    event: dict[str, Any] | None = None


class Store:
    """Airflow's task state store."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def get(self, key: str, default: Any = None) -> Any:
        """Read."""
        found = self._line.ask("get", key)
        return default if found is None else found

    def set(self, key: str, value: Any) -> None:
        """Write."""
        self._line.ask("set", key, value)


class Comms:
    """What stands where a task has its supervisor."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, message: Any) -> Any:
        """Ask Airflow, as far as an operator of ours does."""
        match type(message).__name__:
            case "GetTaskStates":
                states = {message.run_ids[0]: {"job": self._line.ask("state", message.run_ids[0])}}
                return SimpleNamespace(task_states=states)
            case "GetXCom":
                return SimpleNamespace(value=self._line.ask("xcom", message.run_id))
            case "GetDagRun":
                return SimpleNamespace(clear_number=self._line.ask("clears", message.run_id))
        return None


def main(connection: "Connection[Any, Any]", order: Order) -> None:
    """Do it, and tell how it ended: done, deferred, or failed (for good or not)."""
    line = Line(connection)
    task_runner.SUPERVISOR_COMMS = Comms(line)  # type: ignore[assignment]
    token = {"start_token": True} if order.token else {}
    operator: JobOperator = OPERATORS[order.backend](
        task_id="job", spec={"name": order.name, "image": IMAGE}, args=list(order.args), deferrable=order.deferrable,
        verbose=order.verbose, polling_period_seconds=2, project_id="local-project", region="europe-west1",
        **token,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())  # SIGKILL follows, some seconds later
    context: Any = _context(order, line)
    try:
        event = order.event
        result = operator.execute(context) if event is None else operator.execute_complete(context, event)
        line.tell("done", result["state"])
    except TaskDeferred as deferral:
        line.tell("deferred", *deferral.trigger.serialize())
    except AirflowFailException as error:
        line.tell("failed", True, str(error)[:300])
    except Exception as error:
        line.tell("failed", False, f"{type(error).__name__}: {error}"[:300])


def _context(order: Order, line: Line) -> dict[str, Any]:
    def push(key: str, value: Any) -> None:
        line.ask("push", key, value)

    ti = SimpleNamespace(
        dag_id="chaos", run_id=order.run_id, task_id="job", map_index=-1, try_number=order.try_number,
        max_tries=order.max_tries, xcom_push=push,
    )  # fmt: skip
    run = SimpleNamespace(clear_number=order.clear_number, run_type="manual")
    return {"ti": ti, "dag_run": run, "task_state_store": Store(line)}


def reconcile(connection: "Connection[Any, Any]", order: Any) -> None:
    """The DAG `reconcile` without its Airflow: cancel what nobody waits for; tells how many."""
    line = Line(connection)
    task_runner.SUPERVISOR_COMMS = Comms(line)  # type: ignore[assignment]

    def look(maker: Maker) -> Sight:
        known, state, owner = line.ask("sight", maker.run_id)
        return Sight(known, state, owner)

    def ended(ref: Any) -> JobStatus | None:
        status: JobStatus | None = drive(end(ref, log=task_runner.log), backend_for(ref, Access()), ref, None)
        return status

    work = Reconciliation(
        look=look, backend=lambda ref: backend_for(ref, Access()), end=ended, ledger=None, now=datetime.now(UTC),
        grace=timedelta(seconds=float(order)), cancel_orphans=True,
    )  # fmt: skip
    since = work.now - timedelta(hours=1)
    for backend in OPERATORS:
        with suppress(Exception):  # a burst of errors: the next time sees it
            turns = Turns(Pace(100_000).turn, time.sleep)
            found = census(backend, Access(), "local-project", "europe-west1", since, turns)
            work.orphans([each for each in found if not each.status.terminal])
    line.tell("done", dict(work.counts))
