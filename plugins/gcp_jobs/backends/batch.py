"""Batch through google.cloud.batch_v1. A job runs once: submitting it is creating it, under an id known beforehand."""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from google.api_core import exceptions as google
from google.cloud import batch_v1
from google.protobuf import json_format

from gcp_jobs import clients
from gcp_jobs.backends import batch_messages as messages
from gcp_jobs.backends.base import Change, Page, RunRequest, unheard
from gcp_jobs.backends.batch_status import GROUP, to_exit_info, to_failed, to_sights, to_status
from gcp_jobs.backends.refusal import explained
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused, NotFound
from gcp_jobs.model import ExitInfo, JobRef, JobSpec, JobStatus
from gcp_jobs.names import DIGEST_LABEL, RUN_KEY_LABEL, job_id
from gcp_jobs.settings import settings
from gcp_jobs.stragglers import TaskSight

_READ_S = 30.0
_WRITE_S = 60.0
_PAGE = 1000
_DIGEST = 32
_LIVE_PAGE = 250  # to parse more at once would hold up an event loop
_VIEWER = "roles/batch.jobsViewer on the project"
_EDITOR = "roles/batch.jobsEditor on the project"
_WRITER = f"{_EDITOR}, and roles/iam.serviceAccountUser on the job's identity"
_NAMESPACE = uuid.UUID("7e1f2b5e-3a56-5b5c-9d5d-6a1d4f0c9b3e")


@dataclass(frozen=True, slots=True)
class BatchBackend:
    """A JobBackend for Batch. Holds no connection: `clients` caches them."""

    access: Access

    def ensure(self, spec: JobSpec) -> Change:
        """Check that Batch can have such a job: there is no definition apart from the job itself."""
        messages.to_job(spec)
        return Change.NONE

    def drift(self, spec: JobSpec) -> list[str]:
        """Find nothing: a job is made from its template each time."""
        messages.to_job(spec)
        return []

    def place(self, request: RunRequest) -> JobRef:
        """Name the job: a pure function of prefix and run key, or the very name that was asked for."""
        if request.exact and not request.again:
            return request.job
        return replace(request.job, job=job_id(request.job.job, request.run_key))

    def submit(self, request: RunRequest, known: Callable[[JobStatus], None] = unheard) -> JobRef:
        """Create the job; one that this run key has made before is given instead of a second one.

        :param known: hears of a job that was there before, by a try before this one or by this one
        :raises ConfigurationRefused: the job is wrong, or somebody else's or another spec's bears the name
        """
        ref, job = self.place(request), build(request)
        create = batch_v1.CreateJobRequest(
            parent=_parent(ref), job_id=ref.job, job=job,
            request_id=str(uuid.uuid5(_NAMESPACE, f"{ref.name} {request.run_key}")),
        )  # fmt: skip
        there = False
        with explained("create the job", ref.name, _WRITER, self.access):
            try:
                made = self._api().create_job(create, timeout=_WRITE_S, retry=None)
            except google.AlreadyExists:
                made, there = self._api().get_job(name=ref.name, timeout=_READ_S), True
        _check_ours(made, job, ref)
        status = to_status(made)
        if there or dict(made.labels) != dict(job.labels):  # the request id alone hides an earlier try's job
            known(status)
        return status.ref

    def runs(self, job: JobRef, run_key: str, since: datetime) -> Sequence[JobStatus]:
        """Look for the job that a run key has made; `job` is where `place` put it."""
        try:
            found = self.get(job)
        except NotFound:
            return ()
        return (found,) if found.run_key == run_key else ()

    def get(self, ref: JobRef) -> JobStatus:
        """Read a job's status once; raises NotFound, also where another job bears its name now."""
        with explained("read the job", ref.name, _VIEWER, self.access):
            return _same(to_status(self._api().get_job(name=ref.name, timeout=_READ_S)), ref)

    async def aget(self, ref: JobRef) -> JobStatus:
        """Async form of `get`."""
        with explained("read the job", ref.name, _VIEWER, self.access):
            api = await clients.async_client("BatchService", self.access)
            return _same(to_status(await api.get_job(name=ref.name, timeout=_READ_S)), ref)

    def cancel(self, ref: JobRef) -> None:
        """Ask for a job's end; one that has ended already is no error."""
        with explained("cancel the job", ref.name, _EDITOR, self.access):
            try:
                self._api().cancel_job(batch_v1.CancelJobRequest(name=ref.name), timeout=_WRITE_S)
            except (google.FailedPrecondition, google.Aborted):
                return

    async def acancel(self, ref: JobRef) -> None:
        """Async form of `cancel`."""
        with explained("cancel the job", ref.name, _EDITOR, self.access):
            api = await clients.async_client("BatchService", self.access)
            try:
                await api.cancel_job(batch_v1.CancelJobRequest(name=ref.name), timeout=_WRITE_S)
            except (google.FailedPrecondition, google.Aborted):
                return

    def list(self, job: JobRef, *, since: datetime | None = None) -> Sequence[JobStatus]:
        """List the region's jobs whose id is `job.job` or begins with it and a hyphen, newest first."""
        begins = f"{job.job}-"
        found = self.search(job.project, job.region, since=since)
        return [s for s in found if s.ref.job == job.job or s.ref.job.startswith(begins)]

    def search(
        self, project: str, region: str, text: str = "", *, since: datetime | None = None
    ) -> Sequence[JobStatus]:
        """List a region's jobs by a filter of Batch's, newest first, down to those created before `since`.

        :param text: such as `labels.team="a"`; https://cloud.google.com/batch/docs/view-jobs-tasks#filter
        """
        request = _listing(project, region, text, "")
        found: list[JobStatus] = []
        with explained("list the jobs", request.parent, _VIEWER, self.access):
            for job in self._api().list_jobs(request, timeout=_READ_S):
                status = to_status(job)
                if since and status.created and status.created < since:
                    break
                found.append(status)
        return found

    async def alist(self, project: str, region: str, token: str = "", text: str = "") -> Page:
        """Read one page of a region's jobs, newest first: one call of the API."""
        request = _listing(project, region, text, token)
        request.page_size = _LIVE_PAGE
        with explained("list the jobs", request.parent, _VIEWER, self.access):
            api = await clients.async_client("BatchService", self.access)
            found = await anext(aiter((await api.list_jobs(request, timeout=_READ_S)).pages))
        return Page(tuple(map(to_status, found.jobs)), found.next_page_token)

    def exit_info(self, status: JobStatus) -> ExitInfo:
        """Say how the first failed task of a terminal job ended, by its status events (reserved codes: failure.py)."""
        request = batch_v1.ListTasksRequest(
            parent=f"{status.ref.name}/taskGroups/{GROUP}", filter="State=FAILED", page_size=_PAGE
        )
        with explained("read the tasks", status.ref.name, _VIEWER, self.access):
            page = next(iter(self._api().list_tasks(request, timeout=_READ_S).pages))
        return to_exit_info(page.tasks, status.message)

    def sights(self, ref: JobRef) -> Iterator[TaskSight]:
        """Say of each task of a job when it started, ended, and changed its state last."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            yield from to_sights(self._api().list_tasks(_tasks(ref), timeout=_READ_S))

    async def asights(self, ref: JobRef) -> Sequence[TaskSight]:
        """Async form of `sights`."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            api = await clients.async_client("BatchService", self.access)
            return tuple(
                to_sights([task async for task in await api.list_tasks(_tasks(ref), timeout=_READ_S)])
            )

    def failed_tasks(self, ref: JobRef) -> tuple[int, ...]:
        """Give the indices of a terminal job's tasks that did not succeed."""
        with explained("read the tasks", ref.name, _VIEWER, self.access):
            return to_failed(self._api().list_tasks(_tasks(ref, _PAGE), timeout=_READ_S))

    def _api(self) -> Any:
        return clients.client("BatchService", self.access)


def build(request: RunRequest) -> batch_v1.Job:
    """Build the job of a run: from its spec or the caller's own job, with args, environment, labels and topic."""
    job = messages.to_job(request.spec) if request.spec else read_job(request.overrides, request.job.name)
    job.name = ""
    digest = hashlib.sha256(batch_v1.Job.pb(job).SerializeToString(deterministic=True)).hexdigest()
    job.labels.update(request.labels)
    job.labels[RUN_KEY_LABEL] = request.run_key
    job.labels[DIGEST_LABEL] = digest[:_DIGEST]
    for group in job.task_groups:
        _change(group.task_spec, request)
    if topic := settings().status_topic_name:
        messages.notify(job, topic)
    return job


def _check_ours(made: batch_v1.Job, wanted: batch_v1.Job, ref: JobRef) -> None:
    """Raise ConfigurationRefused unless this run key made the job, and of the same spec (args and env aside)."""
    mine, its = wanted.labels, made.labels
    if its.get(RUN_KEY_LABEL) != mine[RUN_KEY_LABEL]:
        raise ConfigurationRefused(
            "a job of this name exists already, and this task did not make it", where=ref.name,
            todo="Give job_name something of this run, such as {{ ts_nodash | lower }}, or leave it out.",
        )  # fmt: skip
    if its.get(DIGEST_LABEL, mine[DIGEST_LABEL]) != mine[DIGEST_LABEL]:
        raise ConfigurationRefused(
            "this task made the job already, but of another spec", where=ref.name,
            todo="Clear the task: it then starts a new job, of the spec as it is now.",
        )  # fmt: skip


def read_job(value: Mapping[str, Any], where: str) -> batch_v1.Job:
    """Read a job given as a dict: as JSON has it (camelCase or snake_case, "3600s") or as Google's client takes it.

    :raises ConfigurationRefused: naming the field
    """
    job = batch_v1.Job()
    try:
        json_format.ParseDict(dict(value), batch_v1.Job.pb(job))
        return job
    except json_format.ParseError as error:
        refusal = error
    try:
        return batch_v1.Job(dict(value))
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationRefused(
            f"wrong job: {refusal}", where=where,
            todo="Fields: https://cloud.google.com/batch/docs/reference/rest/v1/projects.locations.jobs",
        ) from refusal  # fmt: skip


def _change(task: batch_v1.TaskSpec, request: RunRequest) -> None:
    """The run's args and environment belong to the last container that is not in the background."""
    containers = [r for r in task.runnables if "container" in r and not r.background]
    main = containers[-1] if containers else None
    if main is not None and request.args is not None:
        command = list(request.spec.command[1:]) if request.spec else []
        main.container.commands = [*command, *request.args]
    for name, value in request.env.items():
        owner = task if main is None else main
        owner.environment.secret_variables.pop(name, None)
        owner.environment.variables[name] = value


def _listing(project: str, region: str, text: str, token: str) -> batch_v1.ListJobsRequest:
    return batch_v1.ListJobsRequest(
        parent=f"projects/{project}/locations/{region}",
        filter=text, order_by="create_time desc", page_size=_PAGE, page_token=token,
    )  # fmt: skip


def _tasks(ref: JobRef, page: int = _LIVE_PAGE) -> batch_v1.ListTasksRequest:
    return batch_v1.ListTasksRequest(parent=f"{ref.name}/taskGroups/{GROUP}", page_size=page)


def _parent(ref: JobRef) -> str:
    return ref.parent.rpartition("/jobs/")[0]


def _same(status: JobStatus, ref: JobRef) -> JobStatus:
    if ref.uid and status.ref.uid != ref.uid:
        raise NotFound(
            f"the job with uid {ref.uid} is gone; another bears its name now",
            where=ref.name, todo="Look for its deletion in the audit log.",
        )  # fmt: skip
    return status
