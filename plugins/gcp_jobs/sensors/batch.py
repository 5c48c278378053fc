"""BatchJobSensor: waits for Batch jobs that somebody else submitted."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from gcp_jobs.clients import Access
from gcp_jobs.errors import ApiError, GcpJobsError, JobFailed, NotFound, TemplateError, TransientApiError
from gcp_jobs.job_set import JobSet, Want, summary
from gcp_jobs.model import JobStatus
from gcp_jobs.operators.rendering import default_deferrable, with_settings
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

FEW = 10


class BatchJobSensor(BaseSensorOperator):
    """
    Waits for jobs by name, uid, labels or filter: for all of them, any, or n. XCom gets counts and states.

    A job that is not there yet is waited for; a fault of the API that passes never ends the wait.

    :param project_id: project of the jobs; else the setting's. (templated)
    :param region: region of the jobs; else the setting's. (templated)
    :param job_names: ids or full names of jobs; one may be given as text. (templated)
    :param job_uids: uids of jobs; one may be given as text. (templated)
    :param labels: labels that the jobs bear, such as {"airflow-dag-id": "batch_job"}. (templated)
    :param filter: any other filter of Batch's, and-ed with the labels. (templated)
    :param need: how many must end well: "all", "any" or a number. (templated)
    :param at_least: how many jobs must be there before the set counts as complete (labels, filter). (templated)
    :param accept: states that count as well ended.
    :param gcp_conn_id: Airflow connection to Google Cloud. (templated)
    :param impersonation_chain: service account to impersonate, or a chain that ends with it. (templated)
    :param deferrable: whether to wait in the triggerer. Default: as for the operators.
    """

    template_fields: Sequence[str] = (
        "project_id", "region", "job_names", "job_uids", "labels", "filter", "need", "at_least", "gcp_conn_id",
        "impersonation_chain",
    )  # fmt: skip
    ui_color = "#fdf3d7"

    def __init__(
        self,
        *,
        project_id: str | None = None,
        region: str | None = None,
        job_names: str | Sequence[str] = (),
        job_uids: str | Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        filter: str = "",
        need: str | int = "all",
        at_least: int | str = 1,
        accept: Sequence[str] = ("SUCCEEDED",),
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.region = region
        self.job_names = job_names
        self.job_uids = job_uids
        self.labels = labels
        self.filter = filter
        self.need = need
        self.at_least = at_least
        self.accept = accept
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = default_deferrable() if deferrable is None else deferrable

    def render_template(self, content: Any, context: "Context", *args: Any, **kwargs: Any) -> Any:
        """Render with `settings` at hand."""
        return super().render_template(content, with_settings(context), *args, **kwargs)

    def execute(self, context: "Context") -> Any:
        """Look once, unless that were many reads; then wait here (poke, reschedule) or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        if len(self._jobs().names) <= FEW and (found := self.poke(context)).is_done:
            return found.xcom_value
        self._defer(time.time() + self.timeout)

    def poke(self, context: "Context") -> PokeReturnValue:
        """Read all jobs once. Raises what explains that enough of them cannot end well any more."""
        try:
            statuses = self._statuses()
        except TransientApiError as error:
            self.log.warning("Still waiting: %s", error)
            return PokeReturnValue(is_done=False)
        except GcpJobsError as error:
            raise (AirflowFailException(str(error)) if error.permanent else error) from None
        want = self._want()
        if short := want.shortfall(statuses):
            self._fail(short)
        return PokeReturnValue(is_done=bool(want.over(statuses)), xcom_value=summary(statuses))

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger, which has read how the jobs ended, and give the verdict."""
        if event["outcome"] == "timed_out":
            said = f"the jobs did not end within {self.timeout:.0f} s"
            raise AirflowSkipException(said) if self.soft_fail else AirflowSensorTimeout(said)
        if event["outcome"] == "error":
            raise AirflowFailException(event["error"]) if event.get("permanent") else ApiError(event["error"])
        if event.get("shortfall"):
            self._fail(event["shortfall"])
        if "result" in event:
            return dict(event["result"])
        found = self.poke(context)  # the trigger is one of an earlier release
        if not found.is_done:
            self._defer(time.time() + self.timeout)
        return dict(found.xcom_value or {})

    def _defer(self, deadline: float) -> NoReturn:
        from gcp_jobs.triggers.job_set import JobSetTrigger

        trigger = JobSetTrigger(
            self._jobs().to_dict(),
            self._want().to_dict(),
            self._access().to_dict(),
            deadline,
            self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _statuses(self) -> list[JobStatus | None]:
        from gcp_jobs.backends.batch import BatchBackend

        backend, jobs = BatchBackend(self._access()), self._jobs()
        found: list[JobStatus | None] = []
        for ref in jobs.refs:
            try:
                found.append(backend.get(ref))
            except NotFound:
                found.append(None)
        return [*found, *backend.search(jobs.project, jobs.region, jobs.filter)] if jobs.filter else found

    def _jobs(self) -> JobSet:
        here = settings()
        labels = [f'labels.{key}="{value}"' for key, value in (self.labels or {}).items()]
        parts = [*labels, f"({self.filter})"] if self.filter else labels
        jobs = JobSet(
            self.project_id or here.project, self.region or here.region,
            _several(self.job_names), _several(self.job_uids), " AND ".join(parts),
        )  # fmt: skip
        if not jobs.names and not jobs.filter:
            raise AirflowFailException(
                f"no job is named: give task {self.task_id} job_names, job_uids or labels"
            )
        return jobs

    def _want(self) -> Want:
        need = self.need if self.need in ("all", "any") else _count("need", self.need)
        count = len(_several(self.job_names)) + len(_several(self.job_uids))
        by_filter = _count("at_least", self.at_least) if self.labels or self.filter else 0
        least = max(count + by_filter, need if isinstance(need, int) else 0)
        return Want(need, least, tuple(self.accept))

    def _access(self) -> Access:
        return Access.of(self.gcp_conn_id, self.impersonation_chain)

    def _fail(self, said: str) -> NoReturn:
        if self.soft_fail:
            raise AirflowSkipException(said)
        raise JobFailed(said, where=f"task {self.task_id}", todo="Their own logs say why.")


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return ((value,) if value else ()) if isinstance(value, str) else tuple(value)


def _count(name: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise TemplateError(
            f"{name}={value!r} is no number", where=name, todo="Give a whole number."
        ) from error
