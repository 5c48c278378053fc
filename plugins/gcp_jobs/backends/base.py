"""What a backend can do, and what it is asked to run. Every call comes in a sync and an async form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from gcp_jobs.model import ExitInfo, JobRef, JobSpec, JobStatus
from gcp_jobs.stragglers import TaskSight

RUN_KEY = "GCP_JOBS_RUN_KEY"
# in a definition that a start token has run: which execution of it is ours; any other is a person's
START_TOKEN = "GCP_JOBS_START_TOKEN"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run of a job, and what it changes in the main container.

    :param run_key: identifies the run: a second request with the same key must not start a second run
    :param container: the main container's name where there are several
    :param args: None leaves the job's own
    :param overrides: the backend's own form of changes, as the stock operator takes them; on Batch the whole job
    :param spec: what to run, where the backend makes the job from it each time (Batch, and `by_token`)
    :param by_token: whether the start writes the definition with a token that names the execution (Cloud Run)
    :param labels: labels of this run alone, where the backend has such (Batch)
    :param exact: `job` holds the very name to use, not the start of one (Batch)
    :param again: a run of this task and DAG run was there before
    :param begun: since when (RFC 3339) another task may have started this very run; empty: nobody but this one
    """

    job: JobRef
    run_key: str
    container: str = ""
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    spec: JobSpec | None = None
    by_token: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False
    again: bool = False
    begun: str = ""

    def changes(self) -> dict[str, Any]:
        """What this run changes against its spec, where it changes anything."""
        said = {"args": self.args, "env": self.env, "labels": self.labels, "overrides": self.overrides}
        return {
            name: value for name, value in said.items() if value or (name == "args" and value is not None)
        }


class Change(StrEnum):
    """What `ensure` did to a job's definition."""

    NONE = "unchanged"
    CREATED = "created"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a region's runs; `token` asks for the next, empty after the last."""

    runs: tuple[JobStatus, ...]
    token: str = ""


def unheard(_: JobStatus) -> None:
    """Do nothing with what was known."""


class JobBackend(Protocol):
    """Runs jobs. Errors are those of gcp_jobs.errors.ApiError's branch."""

    def ensure(self, spec: JobSpec) -> Change:
        """Create or update the definition so that it matches; write nothing when it does already."""
        ...

    def drift(self, spec: JobSpec) -> list[str]:
        """Say how the definition differs from the spec, one line a field; raises NotFound when there is none."""
        ...

    def place(self, request: RunRequest) -> JobRef:
        """Say under which job the request will run."""
        ...

    def runs(self, job: JobRef, run_key: str, since: datetime) -> Sequence[JobStatus]:
        """Look for the runs that requests with this key have started, where `place` put them."""
        ...

    def submit(self, request: RunRequest, known: Callable[[JobStatus], None] = unheard) -> JobRef:
        """Start a run; `known` hears of it where the platform itself says that this key has made it before."""
        ...

    def get(self, ref: JobRef) -> JobStatus:
        """Read a run's status once; raises NotFound."""
        ...

    async def aget(self, ref: JobRef) -> JobStatus:
        """Async form of `get`."""
        ...

    def cancel(self, ref: JobRef) -> None:
        """Ask for a run's end; a run that has ended already is no error."""
        ...

    async def acancel(self, ref: JobRef) -> None:
        """Async form of `cancel`."""
        ...

    def list(self, job: JobRef, *, since: datetime | None = None) -> Sequence[JobStatus]:
        """List a job's runs, newest first, down to those created before `since`."""
        ...

    async def alist(self, project: str, region: str, token: str = "") -> Page:
        """Read one page of all runs of a region, whatever their job, newest first: one call of the API."""
        ...

    def exit_info(self, status: JobStatus) -> ExitInfo:
        """Say how the decisive container of a terminal run ended."""
        ...

    def sights(self, ref: JobRef) -> Iterable[TaskSight]:
        """Say of each task of a run when it started, ended, and changed its state last."""
        ...

    async def asights(self, ref: JobRef) -> Sequence[TaskSight]:
        """Async form of `sights`."""
        ...

    def failed_tasks(self, ref: JobRef) -> tuple[int, ...]:
        """Give the indices of a terminal run's tasks that did not succeed."""
        ...
