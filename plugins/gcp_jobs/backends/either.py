"""Both backends behind one face, for a job whose attempts may run on either: a run is asked where it is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gcp_jobs.backends.base import Change, JobBackend, Page, RunRequest, unheard
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import ExitInfo, JobRef, JobSpec, JobStatus
from gcp_jobs.stragglers import TaskSight


@dataclass(frozen=True, slots=True)
class EitherBackend:
    """A JobBackend. `present` is where the present attempt runs: definitions are looked at there."""

    present: str
    access: Access

    def _at(self, name: str) -> JobBackend:
        return BatchBackend(self.access) if name == "batch" else CloudRunBackend(self.access)

    def _of(self, ref: JobRef) -> JobBackend:
        return self._at(ref.backend)

    def ensure(self, spec: JobSpec) -> Change:
        return self._at(self.present).ensure(spec)

    def drift(self, spec: JobSpec) -> list[str]:
        return self._at(self.present).drift(spec)

    def place(self, request: RunRequest) -> JobRef:
        return self._of(request.job).place(request)

    def runs(self, job: JobRef, run_key: str, since: datetime) -> Sequence[JobStatus]:
        return self._of(job).runs(job, run_key, since)

    def submit(self, request: RunRequest, known: Callable[[JobStatus], None] = unheard) -> JobRef:
        return self._of(request.job).submit(request, known)

    def get(self, ref: JobRef) -> JobStatus:
        return self._of(ref).get(ref)

    async def aget(self, ref: JobRef) -> JobStatus:
        return await self._of(ref).aget(ref)

    def cancel(self, ref: JobRef) -> None:
        self._of(ref).cancel(ref)

    async def acancel(self, ref: JobRef) -> None:
        await self._of(ref).acancel(ref)

    def list(self, job: JobRef, *, since: datetime | None = None) -> Sequence[JobStatus]:
        return self._of(job).list(job, since=since)

    async def alist(self, project: str, region: str, token: str = "") -> Page:
        return await self._at(self.present).alist(project, region, token)

    def exit_info(self, status: JobStatus) -> ExitInfo:
        return self._of(status.ref).exit_info(status)

    def sights(self, ref: JobRef) -> Iterable[TaskSight]:
        return self._of(ref).sights(ref)

    async def asights(self, ref: JobRef) -> Sequence[TaskSight]:
        return await self._of(ref).asights(ref)

    def failed_tasks(self, ref: JobRef) -> tuple[int, ...]:
        return self._of(ref).failed_tasks(ref)
