"""What an operator's arguments say of its job: what runs, where, for how long, and through which connection."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperator

from gcp_jobs.backends.base import JobBackend, RunRequest
from gcp_jobs.clients import Access
from gcp_jobs.errors import TemplateError
from gcp_jobs.job_run import JobRun
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.operators.left_behind import and_cancelled
from gcp_jobs.operators.rendering import RendersTemplates, default_deferrable
from gcp_jobs.settings import settings
from gcp_jobs.template import JobTemplate, inline, parse

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial


class JobArguments(RendersTemplates, BaseOperator):
    """Keeps the arguments that all operators of jobs share, with the same meaning in each, and reads them.

    The parameters are documented where users meet them: at the operators.
    """

    template_ext: Sequence[str] = (".yaml", ".yml")
    template_fields_renderers: ClassVar[dict[str, str]] = {"template": "yaml", "spec": "json", "env": "json"}
    backend_name: ClassVar[str]
    per_run: ClassVar[frozenset[str]] = frozenset()
    fixed: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        project_id: str | None,
        region: str | None,
        job_name: str | None,
        polling_period_seconds: float,
        timeout_seconds: float | None,
        gcp_conn_id: str,
        impersonation_chain: str | Sequence[str] | None,
        deferrable: bool | None,
        transport: Literal["rest", "grpc"] | None,
        verbose: bool,
        template: str | None,
        spec: Mapping[str, Any] | None,
        args: Sequence[str] | None,
        env: Mapping[str, str] | None,
        cancel_on_kill: bool,
        retry_failed: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.region = region
        self.job_name = job_name
        self.polling_period_seconds = polling_period_seconds
        self.timeout_seconds = timeout_seconds
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.transport = transport
        self.verbose = verbose
        self.template = template
        self.spec = spec
        self.args = args
        self.env = env
        self.cancel_on_kill = cancel_on_kill
        self.retry_failed = retry_failed
        self.on_failure_callback = and_cancelled(self.on_failure_callback)
        self.template_name = template

    @classmethod
    def partial(cls, **kwargs: Any) -> "OperatorPartial":
        """Begin a mapped task, with our failure callback: where Airflow calls that, no `__init__` has run."""
        made: OperatorPartial = super().partial(**kwargs)
        made.kwargs["on_failure_callback"] = and_cancelled(made.kwargs["on_failure_callback"])
        return made

    # what a subclass says

    @abstractmethod
    def _backend(self, access: Access) -> JobBackend:
        """Give what runs the jobs."""

    @abstractmethod
    def _request(self, context: "Context", template: JobTemplate | None) -> RunRequest:
        """Say which run this try wants, but for its key."""

    @abstractmethod
    def _task_count(self, spec: JobSpec | None) -> int:
        """Count the run's tasks."""

    def _access(self) -> Access:
        return Access.of(self.gcp_conn_id, self.impersonation_chain, self.transport)

    def _manages(self) -> bool:
        return True

    def _others(self) -> frozenset[str]:
        """Name the other backends that may run what the arguments say, if the policy's ladder wants it."""
        return frozenset()

    def _run(self) -> JobRun:
        access = self._access()
        period = float(self.polling_period_seconds)
        return JobRun(self._backend(access), access, self.log, period, self.verbose)

    def _template(self) -> JobTemplate | None:
        """What the arguments describe; None where they leave it to an existing job or to Google's own message."""
        if self.template is not None and self.spec is not None:
            raise TemplateError(
                "template and spec are both given", where=f"task {self.task_id}", todo="Keep one."
            )
        mine = {"project": self.project_id, "region": self.region, "name": self._name()}
        if self.template is not None:
            name = str(self.template_name or "template")
            return parse(
                self.template, source=name, settings=settings(), overrides=mine, backend=self.backend_name
            )
        return inline(self.spec, settings(), mine, self.backend_name) if self.spec is not None else None

    def _name(self) -> str | None:
        """What the operator itself says of the job's name."""
        return self.job_name

    def _place(self, template: JobTemplate | None, name: str | None) -> JobRef:
        """Where the job is: the operator's own word, else the template's, else the setting's."""
        here = settings()
        if template:
            spec = template.spec
            job = JobRef(self.backend_name, spec.project, spec.region, name or spec.name)
        else:
            job = JobRef(
                self.backend_name, self.project_id or here.project, self.region or here.region, name or ""
            )
        if here.regions and job.region not in here.regions:
            allowed = f"GCP_JOBS_REGIONS allows {', '.join(here.regions)}."
            raise TemplateError(
                f"region {job.region} is not allowed", where=f"task {self.task_id}", todo=allowed
            )
        return job

    def _deadline(self) -> float | None:
        limits = [float(self.timeout_seconds)] if self.timeout_seconds is not None else []
        if self.execution_timeout is not None and self.deferrable:
            limits.append(self.execution_timeout.total_seconds())
        return time.time() + min(limits) if limits else None
