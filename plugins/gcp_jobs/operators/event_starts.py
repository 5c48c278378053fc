"""Begins the jobs that a DAG run's events want, each once, and says which task waits for which."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    Starts the jobs of one backend at once, so that none waits for a task of its own; gives what to map over.

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
        """Start, and say what came of it."""
        wanted = [start for start in once(starts_of(context, self.backend)) if start.backend == self.backend]
        most = conf.getint("core", "max_map_length")
        for number, at in enumerate(range(most, len(wanted), most), start=1):
            self._hand_on(context, number, wanted[at : at + most])
        mine = wanted[:most]
        if attempt_of(context).clear_number:  # the mapped tasks end the old jobs first
            return [start.to_dict() for start in mine]
        begun = [self._begin(context, index, start) for index, start in enumerate(mine[:1])]
        with ThreadPoolExecutor(AT_ONCE) as pool:  # the first has opened the connection
            rest = enumerate(mine[1:], start=1)
            begun += pool.map(lambda each: self._begin(context, *each), list(rest))
        self.log.info("%d events want jobs on %s", len(begun), self.backend)
        return begun

    def _begin(self, context: "Context", index: int, start: Start) -> dict[str, Any]:
        """Start one job, or find it; gives the start, and who answers for the job if that is another run's task."""
        ti = context["ti"]
        waiter: Any = {**context, "ti": _Waiter(ti.dag_id, ti.run_id, self.waits, index)}
        try:
            task = OPERATORS[self.backend](
                task_id=self.waits, start=start.to_dict(), gcp_conn_id=self.gcp_conn_id
            )
            done_by = task.begin(waiter)
        except GcpJobsError as error:
            self.log.warning("The job of event %s is left to its task: %s", start.identity, error)
            return start.to_dict()
        return start.to_dict() | ({"done_by": done_by} if done_by else {})

    def _hand_on(self, context: "Context", number: int, starts: Sequence[Start]) -> None:
        """More than one run may map: a run of the same DAG takes them over, once."""
        ti = context["ti"]
        name = hashlib.sha256(ti.run_id.encode()).hexdigest()[:16]
        message = TriggerDagRun(
            dag_id=ti.dag_id, run_id=f"more_of__{name}__{self.backend}__{number}",
            conf={"starts": [start.to_dict() for start in starts]},
        )  # fmt: skip
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
