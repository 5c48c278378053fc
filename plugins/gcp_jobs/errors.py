"""Every error that gcp_jobs raises on purpose.

    GcpJobsError
    ├── SettingsError            a GCP_JOBS_* variable holds a value that is not allowed
    ├── TemplateError            a job template is missing, unreadable or holds a wrong field
    ├── RuleError                an event rule is unreadable, wrong, or at odds with another
    ├── UnknownParams            a DAG run was started with params that the DAG does not have
    ├── ConnectionMissing        Airflow does not know the connection
    ├── EmulatorUnreachable      a *_EMULATOR_HOST is set and nobody answers there
    ├── LedgerUnavailable        the ledger's database does not answer in time; what it should know waits
    ├── ApiError                 Google's API refused a call
    │   ├── TransientApiError    429, 500, 503, 504, a cut stream: the same call may succeed later
    │   │   └── QuotaExhausted   429: the same call will succeed once there is quota again
    │   ├── NotFound             404
    │   ├── PermissionRefused    401, 403
    │   ├── ConfigurationRefused 400, a failed precondition, a field that the backend does not have
    │   ├── ImageRefused         the container image is missing or unreadable
    │   └── RefusedForGood       any other refusal that another try would meet again
    ├── JobFailed                the job ended without success
    │   └── JobFailedForGood     and another try of the same would end alike
    ├── JobTimedOut              the wait's deadline passed; the job was cancelled
    └── DataCheckFailed          the job succeeded but what landed is not right

Each carries what went wrong, where, and what to do next. `permanent` errors end the Airflow task without retries.
"""

from typing import Any, ClassVar


class GcpJobsError(Exception):
    """Base of the tree.

    :param what: what went wrong, in one clause
    :param where: the file, field, resource or variable concerned
    :param todo: what the reader can do about it
    """

    permanent: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.what.rstrip('.')}{place}." + (f" {self.todo}" if self.todo else "")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.todo)


def _rebuild(kind: type[GcpJobsError], what: str, where: str, todo: str) -> GcpJobsError:
    return kind(what, where=where, todo=todo)


class SettingsError(GcpJobsError):
    """A GCP_JOBS_* variable holds a value that is not allowed."""

    permanent = True


class TemplateError(GcpJobsError):
    """A job template is missing, unreadable or holds a wrong field."""

    permanent = True


class RuleError(GcpJobsError):
    """An event rule is unreadable, holds a wrong field, or is at odds with another."""

    permanent = True


class UnknownParams(GcpJobsError):
    """A DAG run was started with params that the DAG does not have."""

    permanent = True


class ConnectionMissing(GcpJobsError):
    """Airflow does not know the connection."""

    permanent = True


class EmulatorUnreachable(GcpJobsError):
    """A *_EMULATOR_HOST is set and nobody answers there."""


class LedgerUnavailable(GcpJobsError):
    """The ledger's database does not answer in time; what it should know waits."""


class ApiError(GcpJobsError):
    """Google's API refused a call."""


class TransientApiError(ApiError):
    """429, 500, 503, 504 or a cut stream: the same call may succeed later."""


class QuotaExhausted(TransientApiError):
    """There is no quota left for the call (429). Worth waiting for, however long it takes."""


class NotFound(ApiError):
    """The resource does not exist (404)."""


class PermissionRefused(ApiError):
    """The caller may not do this (401, 403)."""

    permanent = True


class ConfigurationRefused(ApiError):
    """The request itself is wrong (400), or asks for what the backend does not have."""

    permanent = True


class ImageRefused(ApiError):
    """The container image is missing or unreadable."""

    permanent = True


class RefusedForGood(ApiError):
    """Any other refusal that another try would meet again."""

    permanent = True


class JobFailed(GcpJobsError):
    """The job ended without success. `failure` and `exit_info` tell more, where they are known.

    They are a gcp_jobs.failure.Failure and a gcp_jobs.model.ExitInfo.
    """

    failure: Any = None
    exit_info: Any = None


class JobFailedForGood(JobFailed):
    """The job ended without success, and another try of the same would end alike."""

    permanent = True


class JobTimedOut(GcpJobsError):
    """The wait's deadline passed; the job was cancelled."""


class DataCheckFailed(GcpJobsError):
    """The job succeeded but what landed is not right."""
