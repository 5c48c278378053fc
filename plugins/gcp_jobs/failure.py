"""Why a run ended without success, and what to do about it. Pure, total and deterministic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gcp_jobs.errors import JobFailed, JobFailedForGood
from gcp_jobs.model import ExitInfo, JobState, JobStatus


class FailureClass(StrEnum):
    """Classes of CONTRACTS, "Failure classes", as far as a run shows them."""

    CANCELLED = "cancelled"
    GONE = "gone"
    PERMISSION = "permission"
    IMAGE = "image"
    CONFIGURATION = "configuration"
    PREEMPTED = "preempted"
    HOST_LOST = "host_lost"
    STOCK_OUT = "stock_out"
    QUOTA = "quota"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    APPLICATION = "application"
    UNKNOWN = "unknown"


class ExitMeaning(Protocol):
    """What a template says about an exit code of its container."""

    @property
    def means(self) -> str: ...
    @property
    def todo(self) -> str: ...
    @property
    def retry(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure explained. `permanent`: another try of the same would end alike."""

    kind: FailureClass
    cause: str
    todo: str
    permanent: bool = False

    def error(self, status: JobStatus, last_lines: Sequence[str] = ()) -> JobFailed:
        """Build the error that ends the task: cause, what to do, the last log lines."""
        where = status.ref.name + (f", log: {status.log_uri}" if status.log_uri else "")
        kind = JobFailedForGood if self.permanent else JobFailed
        return kind(
            f"Job failed [{self.kind}]: {self.cause}", where=where, todo=self.todo + listed(last_lines)
        )


_LONGER = "Raise `timeout` in the job's template, or find out in its log where the time went."
_AGAIN = "Clear the task, or give it retries; work that may be interrupted belongs on spot, other work on standard."
_HOST = "The machine failed, not the work: clear the task, or give it retries."

# https://cloud.google.com/batch/docs/troubleshooting#reserved-exit-codes
_RESERVED: dict[int, tuple[FailureClass, str, str]] = {
    50001: (FailureClass.PREEMPTED, "the spot VM was taken away", _AGAIN),
    50002: (
        FailureClass.HOST_LOST,
        "Batch no longer heard of the VM: a host event, or a VM starved of memory",
        _HOST,
    ),
    50003: (FailureClass.HOST_LOST, "the VM rebooted while the task ran", _HOST),
    50004: (FailureClass.HOST_LOST, "VM and task did not answer any more", _HOST),
    50005: (FailureClass.TIMED_OUT, "a task ran longer than its timeout", _LONGER),
    50006: (FailureClass.HOST_LOST, "the VM was made anew while the task ran", _HOST),
}
_STOCK_OUT = (
    FailureClass.STOCK_OUT,
    "Try again later, or another `zones`, `machine_type`, `region` or `provisioning` in the template.",
)
_REASONS: dict[str, tuple[FailureClass, str]] = {
    "ZONE_RESOURCE_POOL_EXHAUSTED": _STOCK_OUT,
    "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS": _STOCK_OUT,
    "CODE_GCE_QUOTA_EXCEEDED": (
        FailureClass.QUOTA,
        "Wait for other jobs, or ask for a larger Compute Engine quota.",
    ),
    "RESOURCE_EXHAUSTED": (FailureClass.QUOTA, "Wait for other jobs, or ask for a larger quota."),
    "CODE_GCE_INVALID_FIELD_VALUE": (
        FailureClass.CONFIGURATION,
        "Correct the field named above (`machine_type`, `zones`, `network`) in the job's template.",
    ),
    "CODE_GCE_PERMISSION_DENIED": (
        FailureClass.PERMISSION,
        "The job's service account needs roles/batch.agentReporter, and its network must be open to it.",
    ),
    "PERMISSION_DENIED": (FailureClass.PERMISSION, "The event above names the right that is missing."),
    "CONTAINER_MISSING": (FailureClass.IMAGE, "Push the image, or correct `image` in the job's template."),
    "CONTAINER_IMAGE_UNAUTHORIZED": (
        FailureClass.IMAGE,
        "Cloud Run's service agent needs roles/artifactregistry.reader on the repository.",
    ),
    "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED": (FailureClass.IMAGE, "Check who may read the repository."),
    "CONTAINER_PERMISSION_DENIED": (
        FailureClass.PERMISSION,
        "The job's service account needs roles/artifactregistry.reader on the repository.",
    ),
    "SECRETS_ACCESS_CHECK_FAILED": (
        FailureClass.PERMISSION,
        "Create the secret named above, or give the job's service account roles/secretmanager.secretAccessor on it.",
    ),
    "ENCRYPTION_KEY_PERMISSION_DENIED": (
        FailureClass.PERMISSION,
        "Cloud Run's service agent needs roles/cloudkms.cryptoKeyEncrypterDecrypter.",
    ),
    "ENCRYPTION_KEY_CHECK_FAILED": (FailureClass.CONFIGURATION, "Check `kms_key` in the job's template."),
    "VPC_NETWORK_NOT_FOUND": (FailureClass.CONFIGURATION, "Check `network` in the job's template."),
}
_PERMANENT = frozenset({FailureClass.PERMISSION, FailureClass.IMAGE, FailureClass.CONFIGURATION})


def explain(status: JobStatus, exit_info: ExitInfo, meanings: Mapping[int, ExitMeaning]) -> Failure:
    """Classify a terminal status that is no success.

    Evidence in order: state, reason, memory and time limits, what the template says of the exit code, the code.
    """
    told, detail = status.message.strip(), exit_info.message.strip()
    said = told if detail.rstrip(".") in told else f"{told} {detail}".strip()
    if status.state is JobState.GONE:
        return Failure(
            FailureClass.GONE,
            f"the {status.ref.noun} no longer exists; somebody or a retention rule deleted it",
            "Look for its deletion in the audit log (cloudaudit.googleapis.com/activity), then clear the task.",
        )
    if status.state is JobState.CANCELLED:
        return Failure(
            FailureClass.CANCELLED,
            f"the {status.ref.noun} was cancelled outside this task" + _quoted(said),
            "If that was not intended, clear the task to run it again.",
        )
    if status.reason in _REASONS:
        kind, todo = _REASONS[status.reason]
        return Failure(kind, f"{status.reason}{_quoted(said)}", todo, permanent=kind in _PERMANENT)
    if status.reason.startswith("constraints/"):
        todo = "An organisation policy forbids it: the event above names the constraint."
        return Failure(FailureClass.CONFIGURATION, said, todo, permanent=True)
    return (
        _by_reserved_code(exit_info, said)
        or _by_limits(exit_info, said)
        or _by_code(exit_info, said, meanings)
    )


def _by_reserved_code(exit_info: ExitInfo, said: str) -> Failure | None:
    if exit_info.code not in _RESERVED:
        return None
    kind, cause, todo = _RESERVED[exit_info.code]
    return Failure(kind, f"{cause} (exit code {exit_info.code})" + _quoted(said), todo)


def _by_limits(exit_info: ExitInfo, said: str) -> Failure | None:
    text = said.lower()
    killed = exit_info.code == 137 or exit_info.signal == 9
    if "memory limit" in text or "out of memory" in text or (killed and "memory" in text):
        return Failure(
            FailureClass.OUT_OF_MEMORY,
            "the container needed more memory than its limit" + _quoted(said),
            "Raise `memory` in the job's template; what the container writes to disk counts too.",
        )
    if "timeout" in text or "timed out" in text:
        return Failure(
            FailureClass.TIMED_OUT,
            "a task ran longer than its timeout" + _quoted(said),
            _LONGER,
        )
    return None


def _by_code(exit_info: ExitInfo, said: str, meanings: Mapping[int, ExitMeaning]) -> Failure:
    if exit_info.code is None and exit_info.signal is None:
        return Failure(
            FailureClass.UNKNOWN,
            "no task reported an exit code" + _quoted(said),
            "Read the execution's conditions.",
        )
    ended = f"exit code {exit_info.code}" if not exit_info.signal else f"signal {exit_info.signal}"
    task = f" in task {exit_info.task}" if exit_info.task else ""
    meaning = meanings.get(exit_info.code if exit_info.code is not None else -1)
    if meaning:
        kind = FailureClass.APPLICATION if meaning.retry else FailureClass.CONFIGURATION
        return Failure(kind, f"{meaning.means} ({ended}{task})", meaning.todo, permanent=not meaning.retry)
    return Failure(
        FailureClass.APPLICATION,
        f"the container ended with {ended}{task}" + _quoted(said),
        "The cause is in the log lines of the container.",
    )


def listed(lines: Sequence[str]) -> str:
    """Give the last log lines as the end of a message."""
    return "\nLast log lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _quoted(text: str) -> str:
    return f": {text}" if text else ""
