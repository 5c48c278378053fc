"""ReconcileOperator: asks the cloud, Airflow and the ledger about the same runs, and reports where they differ."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowRuntimeError

from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, LedgerUnavailable
from gcp_jobs.model import JobRef, JobStatus
from gcp_jobs.operators.context import spool
from gcp_jobs.ownership import ENDED, OWNER
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from gcp_jobs.backends.base import JobBackend
    from gcp_jobs.backends.census import Maker
    from gcp_jobs.ledger.ledger import Ledger
    from gcp_jobs.reconcile import Reconciliation, Sight

HORIZON = timedelta(days=15)  # Batch lets a job run for 14 days
SHOWN = 200
MOST_SPOOLED = 10_000
Place = tuple[str, str, str]


class ReconcileOperator(BaseOperator):
    """
    Does what the DAG run's params say: `cancel_orphans`, `grace_minutes`, `dry_run`. XCom gets counts and issues.

    :param gcp_conn_id: Airflow connection to Google Cloud.
    """

    template_fields: Sequence[str] = ("gcp_conn_id",)

    def __init__(self, *, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: "Context") -> dict[str, Any]:
        """Look everywhere, then repair; fails where no place could be looked at.

        :raises ApiError: every place refused its list
        """
        from gcp_jobs.ledger.connection import ledger
        from gcp_jobs.reconcile import table

        here, now = ledger(), datetime.now(UTC)
        work = self._work(context, here, now)
        places = self._places(work, here, now)
        refused = [error for place in places if (error := self._look_at(work, place))]
        work.repair()
        self._catch_up(work, here)
        for line in table(work.issues):
            self.log.info("%s", line)
        result = {
            "counts": {"places": len(places), "issues": len(work.issues), **work.counts},
            "issues": [issue.to_dict() for issue in work.issues[:SHOWN]],
        }
        self.log.info("%s", ", ".join(f"{name}: {count}" for name, count in result["counts"].items()))  # type: ignore[attr-defined]
        if len(refused) == len(places):
            raise refused[0]
        return result

    def _catch_up(self, work: "Reconciliation", here: "Ledger | None") -> None:
        """Write what tasks of this machine left for the ledger while it was away."""
        try:
            work.counts["caught_up"] = spool().drain(here, MOST_SPOOLED) if here else 0
        except LedgerUnavailable as error:
            work.trouble("ledger", str(here), error)

    def _work(self, context: "Context", here: "Ledger | None", now: datetime) -> "Reconciliation":
        from gcp_jobs.reconcile import Reconciliation

        params: Mapping[str, Any] = context["params"]
        return Reconciliation(
            look=lambda maker: _sight(context["ti"], maker),
            backend=self._backend,
            end=self._end,
            ledger=here,
            now=now,
            grace=timedelta(minutes=params["grace_minutes"]),
            cancel_orphans=params["cancel_orphans"],
            dry_run=params["dry_run"],
        )

    def _places(self, work: "Reconciliation", here: "Ledger | None", now: datetime) -> list[Place]:
        from gcp_jobs.ledger import queries

        places = {(backend, *place) for place in settings().places for backend in ("batch", "cloud_run")}
        try:
            rows = here.read(queries.places(now - HORIZON)) if here else []
        except LedgerUnavailable as error:
            work.trouble("ledger", str(here), error)
            rows = []
        return sorted(places | {(row["backend"], row["project"], row["region"]) for row in rows})

    def _look_at(self, work: "Reconciliation", place: Place) -> ApiError | None:
        from gcp_jobs.backends.census import Turns, census
        from gcp_jobs.pace import Pace

        pace = Turns(Pace(settings().job_reads_per_minute).turn, time.sleep)
        try:
            backend, project, region = place
            found = census(backend, Access(self.gcp_conn_id), project, region, work.now - HORIZON, pace)
            work.orphans([each for each in found if not each.status.terminal])
        except ApiError as error:
            work.trouble("place", " ".join(place), error)
            return error
        return None

    def _backend(self, ref: JobRef) -> "JobBackend":
        from gcp_jobs.backends.choice import backend_for

        return backend_for(ref, Access(self.gcp_conn_id))

    def _end(self, ref: JobRef) -> JobStatus | None:
        from gcp_jobs.waiting import drive, end

        self.log.info("Cancelling the orphan %s", ref.name)
        status: JobStatus | None = drive(end(ref, log=self.log), self._backend(ref), ref, None)
        return status


def _sight(ti: Any, maker: "Maker") -> "Sight":
    """Ask Airflow about a task: its state first, then who owns its job, as gcp_jobs.ownership does."""
    from gcp_jobs.reconcile import Sight

    index = maker.map_index if maker.map_index >= 0 else None
    states = ti.get_task_states(
        dag_id=maker.dag_id, run_ids=[maker.run_id], task_ids=[maker.task_id], map_index=index
    ).get(maker.run_id, {})
    key = maker.task_id if index is None else f"{maker.task_id}_{index}"
    if key not in states:
        return Sight(known=False)
    state = None if states[key] is None else str(getattr(states[key], "value", states[key]))
    return Sight(known=True, state=state, owned=None if state in ENDED else _owned(maker, index))


def _owned(maker: "Maker", index: int | None) -> str | None:
    """Name the run that a live task owns; None also where another team's XCom may not be read: its runs are left."""
    try:
        found = BaseXCom.get_one(
            key=OWNER, dag_id=maker.dag_id, run_id=maker.run_id, task_id=maker.task_id, map_index=index
        )
    except AirflowRuntimeError:
        return None
    return None if found is None else str(found)
