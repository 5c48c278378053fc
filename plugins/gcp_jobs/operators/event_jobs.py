"""What the tasks of DAG event_started_job do: a head start for every job that events want, and a wait for each."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.event_rules.start import Start
from gcp_jobs.event_rules.templates import parsed
from gcp_jobs.once import Attempt
from gcp_jobs.operators.attempts import Attempts
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.context import attempt_of
from gcp_jobs.operators.job import JobOperator
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True, slots=True)
class EventAttempt(Attempt):
    """The run of an event: the same for whoever wants it, but for a DAG run that was cleared."""

    identity: str = ""

    def run_key(self, generation: int) -> str:
        """Give the key of a generation: of the first one, the event's own."""
        parts = ["event", self.identity, str(generation)]
        if self.clear_number:
            parts += [self.dag_id, self.run_id, str(self.clear_number)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class StartedByEvent(JobOperator):
    """
    Mixed into the operator of a backend: the job of one event, begun by a task before this one or by this one.

    :param start: Start.to_dict
    """

    # what an event says is data: nothing of it is ever rendered
    template_fields: Sequence[str] = ()

    def __init__(self, *, start: Mapping[str, Any], **kwargs: Any) -> None:
        wanted = Start.from_dict(start)
        super().__init__(args=wanted.args, env=wanted.environment, **self._changes(wanted), **kwargs)
        self.start, self.wanted = start, wanted

    @property
    def wanted_by(self) -> str:
        """Whom the ledger names."""
        return self.wanted.by

    def execute(self, context: "Context") -> dict[str, Any]:
        """Wait for the job, unless another task does."""
        if done_by := self.wanted.done_by:
            raise AirflowSkipException(
                f"The event {self.wanted.identity} came before: {done_by} answers for its job"
            )
        return super().execute(context)

    def _changes(self, wanted: Start) -> dict[str, Any]:
        """Give what the event changes in the backend's own arguments."""
        return {}

    def _values(self) -> dict[str, Any]:
        """Give what the event changes in the spec."""
        return dict(self.wanted.params)

    def _template(self) -> JobTemplate:
        if self._attempts:
            return self._attempts.present
        return parsed(self.wanted, settings(), f"event rule {self.wanted.rule}", self._values())

    def _attempt(self, context: "Context") -> Attempt:
        mine = attempt_of(context)
        return EventAttempt(
            mine.dag_id, mine.run_id, mine.task_id, mine.map_index, mine.clear_number, self.wanted.identity
        )

    def begin(self, context: "Context") -> str:
        """Start the job, or find it; gives the task of another DAG run that made it, else nothing."""
        run, fixed = self._run(), frozenset[str]() if self._manages() else self.fixed
        template = self._template()
        # as the wait itself will have it: the first attempt of a ladder is not the template's own
        self._attempts = Attempts.begin(
            template, self.backend_name, self.log, None, per_run=self.per_run, fixed=fixed
        )
        template = self._template()
        request = self._request(context, template)
        started = run.start(
            self._attempt(context), None, request, template.spec, manage=self._manages(), told=lambda _: None
        )
        if not started.attached:
            return ""
        from gcp_jobs.backends.census import found

        who, mine = found(run.access, started.ref).maker, context["ti"]
        ours = who and (who.dag_id, who.run_id) == (mine.dag_id, mine.run_id)
        return "" if ours else str(who or "another")

    def _may_be_there(self, request: RunRequest) -> RunRequest:
        return replace(request, begun=self.wanted.published or datetime.now(UTC).isoformat())


class BatchEventJobOperator(StartedByEvent, BatchJobOperator):
    """BatchJobOperator for the job of one event."""

    template_fields: Sequence[str] = ()

    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        return self._may_be_there(super()._request(context, template))


class CloudRunEventJobOperator(StartedByEvent, CloudRunJobOperator):
    """CloudRunJobOperator for the job of one event: what an execution can change, it changes by overrides."""

    template_fields: Sequence[str] = ()

    def _changes(self, wanted: Start) -> dict[str, Any]:
        changed = dict(wanted.params)
        if "timeout" in changed:
            changed["timeout"] = {"seconds": changed["timeout"]}
        return {"overrides": changed or None}

    def _values(self) -> dict[str, Any]:
        return {}

    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        return self._may_be_there(super()._request(context, template))
