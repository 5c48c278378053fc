"""Cloud Run Jobs through google.cloud.run_v2."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.api_core import exceptions as google
from google.cloud import run_v2

from gcp_jobs import clients
from gcp_jobs.backends import cloud_run_messages as messages
from gcp_jobs.backends.base import Change, Page, RunRequest, unheard
from gcp_jobs.backends.cloud_run_status import to_exit_info, to_failed, to_sights, to_status
from gcp_jobs.backends.refusal import explained
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused, NotFound, TransientApiError
from gcp_jobs.model import STOPPED, ExitInfo, JobRef, JobSpec, JobStatus
from gcp_jobs.stragglers import TaskSight

_READ_S = 30.0
_PAGE = 250  # to parse more at once would hold up the event loop
_WRITE_S = 60.0
_RUN_S = 20.0  # less than once.REACH_S: a start that is given up is not to go through later
_DEFINITION_S = 300.0
_VIEWER = "roles/run.viewer"
_INVOKER = "roles/run.invoker (run.executions.cancel)"
_RUNNER = "roles/run.jobsExecutorWithOverrides (run.jobs.runWithOverrides)"
_WRITER = "roles/run.developer, and roles/iam.serviceAccountUser on the job's identity"


@dataclass(frozen=True, slots=True)
class CloudRunBackend:
    """A JobBackend for Cloud Run Jobs. Holds no connection: `clients` caches them."""

    access: Access

    def ensure(self, spec: JobSpec) -> Change:
        """Create or update the definition so that it matches; write nothing when it does already."""
        ref, job = messages.ref(spec), messages.to_job(spec)
        try:
            lines = self.drift(spec)
        except NotFound:
            job.name = ""
            with explained("create the job", ref.parent, _WRITER, self.access):
                parent = ref.parent.rpartition("/jobs/")[0]
                request = run_v2.CreateJobRequest(parent=parent, job=job, job_id=ref.job)
                self._jobs().create_job(request, timeout=_WRITE_S).result(timeout=_DEFINITION_S)
            return Change.CREATED
        if not lines:
            return Change.NONE
        with explained("update the job", ref.parent, _WRITER, self.access):
            self._jobs().update_job(job=job, timeout=_WRITE_S).result(timeout=_DEFINITION_S)
        return Change.UPDATED

    def drift(self, spec: JobSpec) -> list[str]:
        """Say how the definition differs from the spec, one line a field; raises NotFound when there is none."""
        ref = messages.ref(spec)
        messages.to_job(spec)
        with explained("read the job", ref.parent, _VIEWER, self.access):
            try:
                found = self._jobs().get_job(name=ref.parent, timeout=_READ_S)
            except google.NotFound as error:
                raise NotFound(
                    "the job does not exist", where=ref.parent,
                    todo="Deploy it from its template, or run with manage_job=True.",
                ) from error  # fmt: skip
        return messages.differences(spec, messages.from_job(found, spec.environment))

    def place(self, request: RunRequest) -> JobRef:
        """Name the definition: Cloud Run names the execution itself."""
        return request.job

    def runs(self, job: JobRef, run_key: str, since: datetime) -> Sequence[JobStatus]:
        """Look for the executions with this run key in their environment."""
        try:
            return [status for status in self.list(job, since=since) if status.run_key == run_key]
        except NotFound:
            return ()

    def submit(self, request: RunRequest, known: Callable[[JobStatus], None] = unheard) -> JobRef:
        """Start an execution. RunJob knows no idempotency key: look for `request.run_key` before asking again."""
        if request.by_token and request.spec:
            return self._start_by_token(request.spec, request, known)
        with explained("run the job", request.job.parent, _RUNNER, self.access):
            operation = self._jobs().run_job(messages.to_run_request(request), timeout=_RUN_S)
        return JobRef.parse(operation.metadata.name)

    def _start_by_token(
        self, spec: JobSpec, request: RunRequest, known: Callable[[JobStatus], None]
    ) -> JobRef:
        """Write the definition with a start token, which names the execution: there is never a second one.

        What Google does with a token that comes again: nothing while the job still bears it, else ALREADY_EXISTS
        (github.com/GoogleCloudPlatform/magic-modules, pull request 19060).
        """
        ref = messages.tokened(request.job, request.run_key)
        job, again = messages.to_tokened_job(spec, request), False
        with explained("start the job by a token", ref.parent, _WRITER, self.access):
            try:
                update = run_v2.UpdateJobRequest(job=job, allow_missing=True)
                self._jobs().update_job(update, timeout=_RUN_S).result(timeout=_DEFINITION_S)
            except google.Conflict:  # it is there already, or another run's update came between
                again = True
        try:
            found = self.get(ref)
        except NotFound as error:
            raise TransientApiError(
                "another update of the job came before its start", where=ref.name
            ) from error
        if found.run_key != request.run_key:
            raise ConfigurationRefused(
                "another run bears the name", where=ref.name, todo="Delete that execution, or clear the task."
            )
        if again and found.state in STOPPED:  # any other is ours, whichever call of this key has made it
            known(found)
        return ref

    def get(self, ref: JobRef) -> JobStatus:
        """Read an execution's status once; raises NotFound."""
        with explained("read the execution", ref.name, _VIEWER, self.access):
            found = clients.client("Executions", self.access).get_execution(name=ref.name, timeout=_READ_S)
        return to_status(found)

    async def aget(self, ref: JobRef) -> JobStatus:
        """Async form of `get`."""
        with explained("read the execution", ref.name, _VIEWER, self.access):
            api = await clients.async_client("Executions", self.access)
            return to_status(await api.get_execution(name=ref.name, timeout=_READ_S))

    def cancel(self, ref: JobRef) -> None:
        """Ask for an execution's end; one that has ended already is no error."""
        with explained("cancel the execution", ref.name, _INVOKER, self.access):
            try:
                clients.client("Executions", self.access).cancel_execution(name=ref.name, timeout=_WRITE_S)
            except google.FailedPrecondition:
                return

    async def acancel(self, ref: JobRef) -> None:
        """Async form of `cancel`."""
        with explained("cancel the execution", ref.name, _INVOKER, self.access):
            api = await clients.async_client("Executions", self.access)
            try:
                await api.cancel_execution(name=ref.name, timeout=_WRITE_S)
            except google.FailedPrecondition:
                return

    def list(self, job: JobRef, *, since: datetime | None = None) -> Sequence[JobStatus]:
        """List a job's executions, newest first, down to those created before `since`."""
        found: list[JobStatus] = []
        with explained("list the executions", job.parent, _VIEWER, self.access):
            api = clients.client("Executions", self.access)
            for execution in api.list_executions(parent=job.parent, timeout=_READ_S):
                status = to_status(execution)
                if since and status.created and status.created < since:
                    break
                found.append(status)
        return found

    async def alist(self, project: str, region: str, token: str = "") -> Page:
        """Read one page of the executions of all jobs of a region, newest first: one call of the API."""
        parent = f"projects/{project}/locations/{region}/jobs/-"
        with explained("list the executions", parent, _VIEWER, self.access):
            api = await clients.async_client("Executions", self.access)
            request = run_v2.ListExecutionsRequest(parent=parent, page_size=_PAGE, page_token=token)
            found = await anext(aiter((await api.list_executions(request, timeout=_READ_S)).pages))
        return Page(tuple(map(to_status, found.executions)), found.next_page_token)

    def exit_info(self, status: JobStatus) -> ExitInfo:
        """Say how the decisive container of a terminal execution ended."""
        with explained("read the tasks", status.ref.name, _VIEWER, self.access):
            tasks = clients.client("Tasks", self.access).list_tasks(parent=status.ref.name, timeout=_READ_S)
            return to_exit_info(list(tasks))

    def sights(self, ref: JobRef) -> Iterator[TaskSight]:
        """Say of each task of an execution when it started, ended, and changed last."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            yield from to_sights(
                clients.client("Tasks", self.access).list_tasks(_tasks(ref), timeout=_READ_S)
            )

    async def asights(self, ref: JobRef) -> Sequence[TaskSight]:
        """Async form of `sights`."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            api = await clients.async_client("Tasks", self.access)
            return tuple(
                to_sights([task async for task in await api.list_tasks(_tasks(ref), timeout=_READ_S)])
            )

    def failed_tasks(self, ref: JobRef) -> tuple[int, ...]:
        """Give the indices of a terminal execution's tasks that did not succeed."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            tasks = clients.client("Tasks", self.access).list_tasks(parent=ref.name, timeout=_READ_S)
            return to_failed(tasks)

    def _jobs(self) -> Any:
        return clients.client("Jobs", self.access)


def _tasks(ref: JobRef) -> run_v2.ListTasksRequest:
    return run_v2.ListTasksRequest(parent=ref.name, page_size=_PAGE)
