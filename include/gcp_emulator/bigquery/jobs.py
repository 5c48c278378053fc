"""Jobs: their records, from PENDING over RUNNING to DONE, and the threads that run them."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.catalog import LOCATION, Name
from gcp_emulator.bigquery.database import now_ms
from gcp_emulator.bigquery.executor import explained
from gcp_emulator.bigquery.session import Session
from gcp_emulator.bigquery.types import Field
from gcp_emulator.json_api import Refusal

WORKERS = 16
KEPT = 5_000  # finished jobs
KEPT_ROWS = 2_000_000  # of their results
ANONYMOUS = "_anonymous_results"  # the hidden dataset of queries' results
# jobs.get without a location finds these: https://cloud.google.com/bigquery/docs/locations#specify_locations
MULTI_REGIONS = ("us", "eu")


@dataclass(slots=True)
class Result:
    """The rows that a query gave, or the table that has them."""

    fields: list[Field] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    table: Name | None = None
    gone: bool = False  # too old: its rows made room for others


@dataclass(eq=False, slots=True)
class Job:
    """One job; `error` is set when it failed, `result` when it was a query that did not."""

    project: str
    id: str
    location: str
    caller: str
    configuration: dict[str, Any]
    parent: str = ""
    state: str = "PENDING"
    created: str = field(default_factory=now_ms)
    started: str = ""
    ended: str = ""
    error: Refusal | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    result: Result = field(default_factory=Result)
    session: Session | None = None
    cancelled: bool = False
    children: int = 0
    request: str = ""
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def kind(self) -> str:
        """query, load, copy or extract."""
        return next(key for key in ("query", "load", "copy", "extract") if key in self.configuration)

    @property
    def reference(self) -> dict[str, str]:
        return {"projectId": self.project, "jobId": self.id, "location": self.location}

    @property
    def anonymous(self) -> dict[str, str]:
        """The table that a query's rows are in when it names none; `Jobs.holding` finds the job by it."""
        table = "anon" + hashlib.sha256(self.id.encode()).hexdigest()
        return {"projectId": self.project, "datasetId": ANONYMOUS, "tableId": table}

    def resource(self) -> dict[str, Any]:
        """https://cloud.google.com/bigquery/docs/reference/rest/v2/Job."""
        status: dict[str, Any] = {"state": self.state}
        if self.error:
            status |= {"errorResult": self.error.item, "errors": [self.error.item]}
        statistics = {"creationTime": self.created, **self.statistics}
        statistics |= {
            name: time for name, time in (("startTime", self.started), ("endTime", self.ended)) if time
        }
        if self.parent:
            statistics["parentJobId"] = self.parent
        if self.children:
            statistics["numChildJobs"] = str(self.children)
        return {
            "kind": "bigquery#job",
            "etag": f"{self.id}-{self.state}",
            "id": f"{self.project}:{self.location}.{self.id}",
            "selfLink": f"/bigquery/v2/projects/{self.project}/jobs/{self.id}?location={self.location}",
            "jobReference": self.reference,
            "configuration": {**self.configuration, "jobType": self.kind.upper()},
            "status": status,
            "statistics": statistics,
            "user_email": self.caller,
            "principal_subject": f"serviceAccount:{self.caller}",
        }


class Kept(Protocol):
    """Where records of jobs are that outlive the process."""

    def put(self, job: Job) -> None: ...
    def remove(self, job: Job) -> None: ...
    def all(self) -> Iterable[Job]: ...
    def close(self) -> None: ...


class Jobs:
    """All jobs, the newest last."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._jobs: dict[tuple[str, str], Job] = {}
        for job in kept.all():
            self._jobs[job.project, job.id] = job
            kept.put(job)
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="bigquery-job")

    def add(self, job: Job) -> Job:
        """Refusal duplicate if the project has one of this id."""
        with self._lock:
            if (job.project, job.id) in self._jobs:
                raise errors.duplicate("Job", f"{job.project}:{job.location}.{job.id}")
            self._jobs[job.project, job.id] = job
            self._kept.put(job)
            self._forget()
        return job

    def start(self, job: Job, work: Callable[[Job], None]) -> None:
        """Run it in a thread of its own; `finished` is set when the job is."""
        self._threads.submit(self.run, job, work)

    def run(self, job: Job, work: Callable[[Job], None]) -> None:
        """Run it here; what goes wrong is the job's error."""
        try:
            if job.cancelled:
                raise stopped()
            job.state, job.started = "RUNNING", now_ms()
            work(job)
        except Exception as error:  # the job's edge: whatever it is, whoever waits must hear of it
            job.error = stopped() if job.cancelled else explained(error)
        finally:
            job.started, job.ended = job.started or now_ms(), now_ms()
            job.state = "DONE"
            self._kept.put(job)
            job.finished.set()

    def find(self, project: str, id_: str, location: str = "") -> Job:
        """Refusal notFound, also where the job runs elsewhere than asked."""
        job = self._jobs.get((project, id_))
        wanted = location or LOCATION
        if job is None or not _at(job, location):
            raise errors.not_found("Job", f"{project}:{wanted}.{id_}")
        return job

    def asked(self, project: str, request: str) -> Job | None:
        """The job that a request of this id has started, "" being none."""
        return next((job for job in self.of(project) if request and job.request == request), None)

    def holding(self, project: str, table: str) -> Job | None:
        """The job whose anonymous table this is."""
        return next((job for job in self.of(project) if job.anonymous["tableId"] == table), None)

    def cancel(self, job: Job) -> None:
        """A best effort, as on Google: a job may still end well."""
        job.cancelled = job.state != "DONE"
        if job.cancelled and job.session:
            job.session.cursor.interrupt()

    def delete(self, job: Job) -> None:
        """Its record and those of its children."""
        if job.state != "DONE":
            raise errors.invalid(f"Cannot delete job {job.id}: it is {job.state}.")
        with self._lock:
            for key, other in list(self._jobs.items()):
                if other is job or (other.project == job.project and other.parent == job.id):
                    del self._jobs[key]
                    self._kept.remove(other)

    def of(self, project: str) -> Iterator[Job]:
        """The newest first."""
        for job in reversed(list(self._jobs.values())):
            if job.project == project:
                yield job

    def close(self) -> None:
        for job in list(self._jobs.values()):
            self.cancel(job)
        self._threads.shutdown(cancel_futures=True)
        self._kept.close()

    def _forget(self) -> None:
        if len(self._jobs) > KEPT:
            self._kept.remove(self._jobs.pop(next(iter(self._jobs))))
        rows = 0
        for job in reversed(self._jobs.values()):
            rows += len(job.result.rows)
            if rows > KEPT_ROWS:
                job.result.rows, job.result.gone = [], True


def new_id(prefix: str = "job") -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def stopped() -> Refusal:
    return Refusal(400, "stopped", "Job execution was cancelled: User requested cancellation")


def _at(job: Job, location: str) -> bool:
    if location:
        return job.location.lower() == location.lower()
    return job.location.lower() in MULTI_REGIONS
