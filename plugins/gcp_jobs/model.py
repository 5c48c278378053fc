"""A job as we describe it, point at it and watch it. Pure: imports neither Airflow nor Google."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from gcp_jobs.spec import JobSpec

__all__ = [
    "ENDING",
    "STOPPED",
    "TERMINAL",
    "ExitInfo",
    "JobRef",
    "JobResult",
    "JobSpec",
    "JobState",
    "JobStatus",
    "TaskCounts",
]


class JobState(StrEnum):
    """Google's own names (google.cloud.batch.v1.JobStatus.State), and GONE: not found after it was seen."""

    QUEUED = "QUEUED"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    CANCELLATION_IN_PROGRESS = "CANCELLATION_IN_PROGRESS"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    GONE = "GONE"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.GONE})
ENDING = frozenset({JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS})
STOPPED = ENDING | {JobState.CANCELLED}


@dataclass(frozen=True, slots=True)
class JobRef:
    """Points at one run of a job: on Cloud Run an execution, on Batch the job itself. `job` and `run` are short names.

    :param uid: Batch's own identifier of the run (`job.uid`), by which its notifications name it; empty while unknown
    """

    backend: str
    project: str
    region: str
    job: str
    run: str = ""
    uid: str = field(default="", compare=False)

    @property
    def parent(self) -> str:
        """Full name of the job definition; on Batch of the job."""
        return f"projects/{self.project}/locations/{self.region}/jobs/{self.job}"

    @property
    def name(self) -> str:
        """Full name of the run, or of the definition while nothing runs."""
        return f"{self.parent}/executions/{self.run}" if self.run and not self.on_batch else self.parent

    @property
    def on_batch(self) -> bool:
        """Whether Batch runs it."""
        return self.backend == "batch"

    @property
    def noun(self) -> str:
        """What the backend calls a run: "job" or "execution"."""
        return "job" if self.on_batch else "execution"

    def __str__(self) -> str:
        return self.job if self.on_batch else self.run or self.job

    def to_dict(self) -> dict[str, str]:
        """Give the form that goes into triggers, XCom and the task state store."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, str]) -> Self:
        """Read what `to_dict` gave; keys that a later release added are ignored."""
        return cls(**{key: value[key] for key in cls.__slots__ if key in value})

    @classmethod
    def parse(cls, name: str, backend: str = "cloud_run") -> Self:
        """Read `projects/P/locations/R/jobs/J[/executions/E]`; raises ValueError for anything else."""
        parts = name.split("/")
        keys = ["projects", "locations", "jobs", "executions"]
        if len(parts) not in (6, 8) or parts[::2] != keys[: len(parts) // 2] or not all(parts):
            raise ValueError(f"{name!r} is not projects/P/locations/R/jobs/J[/executions/E]")
        return cls(backend, *parts[1::2])


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks of a run there are and where they stand; `retried` counts the platform's own retries."""

    total: int = 1
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How the container of the decisive task ended. `code` is None where no container ran."""

    code: int | None = None
    signal: int | None = None
    task: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What one read of a run said.

    `reason` is the platform's own word for a failure; `topics` are those that the run itself tells all its states to.
    """

    ref: JobRef
    state: JobState
    reason: str = ""
    message: str = ""
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    counts: TaskCounts = TaskCounts()
    log_uri: str = ""
    run_key: str = ""
    topics: tuple[str, ...] = ()

    @property
    def terminal(self) -> bool:
        """True when nothing about the run will change any more."""
        return self.state in TERMINAL

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while either is missing."""
        if self.started is None or self.ended is None:
            return None
        return max(0.0, (self.ended - self.started).total_seconds())


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a finished job leaves in XCom: small and typed.

    `execution` is the run, on Batch the uid of its job; `job` is the job's id, `job_name` its full name.
    `notifications_configured`: the run itself tells a Pub/Sub topic all its states. `queued_s` runs from creation to
    start, `duration_s` from start to end, both in seconds; `digest` is the spec's where the run had one.
    """

    execution: str
    job: str
    project: str
    region: str
    state: str
    exit_code: int | None
    duration_s: float | None
    queued_s: float | None
    tasks: dict[str, int]
    digest: str = ""
    log_uri: str = ""
    job_name: str = ""
    notifications_configured: bool = False

    @classmethod
    def of(cls, status: JobStatus, exit_info: ExitInfo, digest: str = "") -> Self:
        """Sum up a terminal status."""
        queued = None
        if status.created and status.started:
            queued = round(max(0.0, (status.started - status.created).total_seconds()), 3)
        duration = status.duration_s
        return cls(
            execution=status.ref.run or status.ref.uid,
            job=status.ref.job,
            project=status.ref.project,
            region=status.ref.region,
            state=status.state.value,
            exit_code=exit_info.code,
            duration_s=None if duration is None else round(duration, 3),
            queued_s=queued,
            tasks=asdict(status.counts),
            digest=digest,
            log_uri=status.log_uri,
            job_name=status.ref.parent,
            notifications_configured=bool(status.topics),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into XCom."""
        return asdict(self)
