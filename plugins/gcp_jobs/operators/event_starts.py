"""Begins the jobs that a DAG run's events want, each once, and says which task waits for which."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

from gcp_jobs.errors import GcpJobsError
from gcp_jobs.event_rules.start import Start
from gcp_jobs.operators.context import attempt_of
from gcp_jobs.operators.event_backlog import payloads
from gcp_jobs.operators.event_jobs import (
    BatchEventJobOperator,
    CloudRunEventJobOperator,
    StartedByEvent,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

OPERATORS: Mapping[str, type[StartedByEvent]] = {
    "batch": BatchEventJobOperator,
    "cloud_run": CloudRunEventJobOperator,
}
AT_ONCE = 8
TOLD_EACH = 500
EXISTS = "DAGRUN_ALREADY_EXISTS"


@dataclass(frozen=True, slots=True)
class _Waiter:
    """The mapped task that will wait for a job: the job bears its name from the beginning."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int = 1


class EventStartsOperator(BaseOperator):
    """
    Starts the jobs of one backend at once, so that none waits for a task or run of its own; gives what to map over.

    A job that is there already stays the only one: its key is the event's identity. What cannot be started here is
    left to the mapped task, which tells why and tries again.

    :param backend: "batch" or "cloud_run".
    :param waits: id of the mapped task that waits for the jobs.
    :param gcp_conn_id: Airflow connection to Google Cloud.

    Its `inlets` must be the assets that the DAG is scheduled on.
    """

    def __init__(
        self, *, backend: str, waits: str, gcp_conn_id: str = "google_cloud_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.backend, self.waits, self.gcp_conn_id = backend, waits, gcp_conn_id

    def execute(self, context: "Context") -> list[dict[str, Any]]:
        """Start all, hand on what is more than this run may map, and say what came of the others."""
        wanted = [start for start in once(starts_of(context, self.backend)) if start.backend == self.backend]
        shares = self._shared(context["ti"], wanted)
        if not attempt_of(context).clear_number:  # else the mapped tasks end the old jobs first
            shares = self._begun(context, shares)
        (_, mine), *others = shares.items()
        for run_id, starts in others:
            self._hand_on(context, run_id, starts)
        return [start.to_dict() for start in mine]

    def _shared(self, ti: Any, wanted: list[Start]) -> dict[str, list[Start]]:
        """Give whose task waits for which job, by DAG run: this one's first, then those of runs yet to be made."""
        most = conf.getint("core", "max_map_length")
        name = hashlib.sha256(ti.run_id.encode()).hexdigest()[:16]
        shares = {ti.run_id: wanted[:most]}
        for number, at in enumerate(range(most, len(wanted), most), start=1):
            shares[f"more_of__{name}__{self.backend}__{number}"] = wanted[at : at + most]
        return shares

    def _begun(self, context: "Context", shares: Mapping[str, list[Start]]) -> dict[str, list[Start]]:
        """Begin all jobs, also those that other runs will wait for: a job is not to wait for a run."""
        dag_id = context["ti"].dag_id
        pairs = [
            (_Waiter(dag_id, run_id, self.waits, index), start)
            for run_id, starts in shares.items()
            for index, start in enumerate(starts)
        ]
        begun = [self._begin(context, *pair) for pair in pairs[:1]]
        with ThreadPoolExecutor(AT_ONCE) as pool:  # the first has opened the connection
            for start in pool.map(lambda pair: self._begin(context, *pair), pairs[1:]):
                begun.append(start)
                if len(begun) % TOLD_EACH == 0:
                    self.log.info("%d of %d events seen to", len(begun), len(pairs))
        self.log.info("%d events want jobs on %s", len(begun), self.backend)
        left = iter(begun)
        return {run_id: list(islice(left, len(starts))) for run_id, starts in shares.items()}

    def _begin(self, context: "Context", waiter: _Waiter, start: Start) -> Start:
        """Start one job, or find it; says so, and who answers for the job if that is another run's task."""
        if start.begun:
            return start
        its: Any = {**context, "ti": waiter}
        try:
            task = OPERATORS[self.backend](
                task_id=self.waits, start=start.to_dict(), gcp_conn_id=self.gcp_conn_id
            )
            return replace(start, begun=True, done_by=task.begin(its))
        except GcpJobsError as error:
            self.log.warning("The job of event %s is left to its task: %s", start.identity, error)
            return start

    def _hand_on(self, context: "Context", run_id: str, starts: Sequence[Start]) -> None:
        """More than one run may map: a run of the same DAG takes them over, once."""
        message = TriggerDagRun(
            dag_id=context["ti"].dag_id, run_id=run_id, conf={"starts": [start.to_dict() for start in starts]}
        )
        said = task_runner.SUPERVISOR_COMMS.send(message)
        if isinstance(said, ErrorResponse) and said.error.name != EXISTS:
            raise GcpJobsError(f"{len(starts)} events cannot be handed on: {said.error.name} {said.detail}")
        self.log.info("Run %s takes over %d events", message.run_id, len(starts))


def starts_of(context: "Context", backend: str) -> Iterator[Start]:
    """Give what the run's events ask for, or its param `starts`.

    :raises AirflowFailException: the param holds what is no start
    """
    for payload in payloads(context, backend):
        yield from map(Start.from_dict, payload.get("starts", ()))
    try:
        yield from map(Start.from_dict, context["params"].get("starts") or ())
    except ValueError as error:
        raise AirflowFailException(f"param starts: {error}") from None


def once(starts: Iterator[Start]) -> list[Start]:
    """Give the first of each identity."""
    found: dict[str, Start] = {}
    for start in starts:
        found.setdefault(start.identity, start)
    return list(found.values())
