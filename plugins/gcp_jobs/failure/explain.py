"""One run's end explained, by the order of evidence: state, reason, reserved codes, events, exit code, log lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gcp_jobs import errors
from gcp_jobs.errors import GcpJobsError, JobFailed, JobFailedForGood
from gcp_jobs.failure import rules
from gcp_jobs.failure.classes import PERMANENT, ErrorType, FailureClass
from gcp_jobs.failure.evidence import Evidence, plain, shown
from gcp_jobs.failure.remedy import TODO, todo
from gcp_jobs.model import ExitInfo, JobState, JobStatus


class ExitMeaning(Protocol):
    """What a template says about an exit code of its container."""

    @property
    def means(self) -> str: ...
    @property
    def todo(self) -> str: ...
    @property
    def kind(self) -> FailureClass: ...
    @property
    def dependency(self) -> str: ...
    @property
    def retry(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure explained.

    :param permanent: another try of the same would end alike, or is not wanted
    :param evidence: what the class was read from; for `unknown` all that was seen
    :param dependency: the name of what was down, for dependency_down
    """

    kind: FailureClass
    cause: str
    todo: str
    permanent: bool = False
    evidence: str = ""
    dependency: str = ""

    @property
    def error_type(self) -> ErrorType:
        """The requirement documents' type of this failure."""
        return self.kind.error_type

    def error(self, status: JobStatus, last_lines: Sequence[str] = ()) -> JobFailed:
        """Build the error that ends the task: cause, what to do, the last log lines."""
        where = status.ref.name + (f", log: {status.log_uri}" if status.log_uri else "")
        kind = JobFailedForGood if self.permanent else JobFailed
        return kind(
            f"Job failed [{self.kind}]: {self.cause}", where=where, todo=self.todo + listed(last_lines)
        )


_F = FailureClass
_CAUSES = {
    _F.PREEMPTED: "the spot VM was taken away",
    _F.HOST_LOST: "the machine failed under the task",
    _F.OUT_OF_MEMORY: "the container needed more memory than its limit",
    _F.TIMED_OUT: "a task ran longer than its timeout",
    _F.STOCK_OUT: "Google had no such machine free",
    _F.QUOTA: "a quota is used up",
    _F.NETWORK: "a connection failed",
    _F.PERMISSION: "a right is missing",
    _F.IMAGE: "the container could not be started from its image",
    _F.CONFIGURATION: "the job's description is not accepted",
    _F.APPLICATION: "the container ended without success",
}
# https://cloud.google.com/batch/docs/troubleshooting#reserved-exit-codes
_RESERVED: Mapping[int, tuple[FailureClass, str]] = {
    50001: (_F.PREEMPTED, "the spot VM was taken away"),
    50002: (_F.HOST_LOST, "Batch no longer heard of the VM: a host event, or a VM starved of memory"),
    50003: (_F.HOST_LOST, "the VM rebooted while the task ran"),
    50004: (_F.HOST_LOST, "VM and task did not answer any more"),
    50005: (_F.TIMED_OUT, "a task ran longer than its timeout"),
    50006: (_F.HOST_LOST, "the VM was made anew while the task ran"),
}
# what GNU timeout, docker run and shells end with
_SHELL: Mapping[int, tuple[FailureClass, str]] = {
    124: (_F.TIMED_OUT, "the command ran longer than its own time limit"),
    125: (_F.IMAGE, "the container engine could not start the container"),
    126: (_F.IMAGE, "the container's command cannot be executed"),
    127: (_F.IMAGE, "the container's command does not exist"),
}
_VAGUE = frozenset({None, 1, 2, 255, 50000})  # codes that any program gives for anything
_MAYBE_MEMORY = (
    " It was killed, often for want of memory, which Batch does not say: `exit_codes: {137: {class: out_of_memory}}` in"
    " the template has it tried with more."
)
_KILLED = frozenset({134, 137, 139, 143})  # ended by a signal: whose limit was it?

# google.cloud.run.v2.Condition reasons and Batch's words: class, and what to do where the class' own advice is vague
_REASONS: Mapping[str, tuple[FailureClass, str]] = {
    "CONTAINER_MISSING": (_F.IMAGE, ""),
    "CONTAINER_IMAGE_UNAUTHORIZED": (_F.IMAGE, "Binary Authorization's policy must allow this image."),
    "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED": (
        _F.IMAGE,
        "Check Binary Authorization and the repository.",
    ),
    "CONTAINER_PERMISSION_DENIED": (
        _F.PERMISSION,
        "Needs roles/artifactregistry.reader on the repository for Cloud Run's service agent.",
    ),
    "SECRETS_ACCESS_CHECK_FAILED": (
        _F.PERMISSION,
        "Create the secret named above, or grant roles/secretmanager.secretAccessor on it to {identity}.",
    ),
    "ENCRYPTION_KEY_PERMISSION_DENIED": (
        _F.PERMISSION,
        "Needs roles/cloudkms.cryptoKeyEncrypterDecrypter on the key for Cloud Run's service agent.",
    ),
    "ENCRYPTION_KEY_CHECK_FAILED": (_F.CONFIGURATION, "Check `kms_key` in the job's template."),
    "VPC_NETWORK_NOT_FOUND": (_F.CONFIGURATION, "Check `network` in the job's template."),
    "PROGRESS_DEADLINE_EXCEEDED": (_F.TIMED_OUT, ""),
    "JOB_STATUS_SERVICE_POLLING_ERROR": (_F.NETWORK, ""),
    "CODE_GCE_PERMISSION_DENIED": (
        _F.PERMISSION,
        "Needs roles/batch.agentReporter for {identity}, and its network must be open to Batch.",
    ),
    "CODE_GCE_QUOTA_EXCEEDED": (_F.QUOTA, "Wait for other jobs, or ask for a larger Compute Engine quota."),
    "CODE_GCE_INVALID_FIELD_VALUE": (
        _F.CONFIGURATION,
        "Correct the field named above (`machine_type`, `zones`, `network`) in the job's template.",
    ),
}


def explain(
    status: JobStatus,
    exit_info: ExitInfo,
    meanings: Mapping[int, ExitMeaning],
    lines: Sequence[str] = (),
    identity: str = "",
) -> Failure:
    """Classify a terminal status that is no success. Never raises, and the same evidence gives the same answer.

    :param meanings: what the job's template says of its container's exit codes
    :param lines: the last log lines, oldest first
    :param identity: the job's service account, for remedies
    """
    seen = Evidence.of(status, exit_info, lines)
    return (
        _by_state(seen)
        or _by_reason(seen, identity)
        or _by_reserved_code(seen)
        or _by_event(seen, identity)
        or _by_code(seen, meanings, identity)
        or Failure(_F.UNKNOWN, f"nothing tells why: {seen.all()}", TODO[_F.UNKNOWN], evidence=seen.all())
    )


def read(text: str) -> FailureClass | None:
    """Give the class that a platform's message alone tells of, None where it tells none."""
    return rules.match(plain(text), log=False)


def lacking(status: JobStatus) -> Failure | None:
    """Say what keeps a run from starting that another place might have: machines or quota; None for anything else.

    Batch does not fail a job for want of machines: it stays queued, for up to two days.
    """
    if status.terminal or status.started is not None:
        return None
    kind = read(status.message)
    if kind not in (_F.STOCK_OUT, _F.QUOTA):
        return None
    return _found(kind, f"event {shown(status.message)}", status.message, "")


def of_error(error: GcpJobsError, identity: str = "") -> Failure:
    """Classify the refusal of an API call. Its own kind decides where the text is vague."""
    kinds: tuple[tuple[type[GcpJobsError], FailureClass], ...] = (
        (errors.QuotaExhausted, _F.QUOTA),
        (errors.TransientApiError, _F.NETWORK),
        (errors.PermissionRefused, _F.PERMISSION),
        (errors.ImageRefused, _F.IMAGE),
        (errors.ConfigurationRefused, _F.CONFIGURATION),
    )
    said = str(error)
    kind = next((k for of, k in kinds if isinstance(error, of)), None) or read(said) or _F.UNKNOWN
    return _found(kind, said, error.what, identity)


def _by_state(seen: Evidence) -> Failure | None:
    if seen.state is JobState.GONE:
        cause = f"the {seen.noun} no longer exists; somebody or a retention rule deleted it"
        return Failure(_F.GONE, cause + _quoted(seen.event), TODO[_F.GONE], evidence="state GONE")
    if seen.state is JobState.CANCELLED:
        cause = f"the {seen.noun} was cancelled, outside Airflow or because a user ended the task"
        cause += _quoted(seen.event)
        # whoever cancelled it wants no other: Airflow's retries make none either
        return Failure(_F.CANCELLED, cause, TODO[_F.CANCELLED], permanent=True, evidence="state CANCELLED")
    return None


def _by_reason(seen: Evidence, identity: str) -> Failure | None:
    if seen.reason not in _REASONS:
        return None
    kind, advice = _REASONS[seen.reason]
    whom = f"service account {identity}" if identity else "the job's service account"
    return Failure(
        kind,
        f"{seen.reason}{_quoted(seen.event)}",
        advice.format(identity=whom) or TODO[kind],
        permanent=kind in PERMANENT,
        evidence=f"reason {seen.reason}",
    )


def _by_reserved_code(seen: Evidence) -> Failure | None:
    if seen.code is None or seen.code not in _RESERVED:
        return None
    kind, cause = _RESERVED[seen.code]
    cause = f"{cause} (exit code {seen.code})" + _quoted(seen.event)
    return Failure(kind, cause, TODO[kind], evidence=f"reserved exit code {seen.code}")


def _by_event(seen: Evidence, identity: str) -> Failure | None:
    words = " ".join((seen.reason, plain(seen.event)))
    kind = rules.match(words, log=False)
    if kind is None and seen.code == 137 and "memory" in words.lower():
        kind = _F.OUT_OF_MEMORY
    if kind is _F.APPLICATION and seen.ended:
        return None  # what the code means is said better by the template
    return _found(kind, f"event {shown(seen.event)}", seen.event or seen.reason, identity) if kind else None


def _by_code(seen: Evidence, meanings: Mapping[int, ExitMeaning], identity: str) -> Failure | None:
    meaning = meanings.get(seen.code) if seen.code is not None else None
    if meaning:
        return Failure(
            meaning.kind,
            f"{meaning.means} ({seen.ended})",
            meaning.todo or TODO[meaning.kind],
            permanent=not meaning.retry or meaning.kind in PERMANENT,
            evidence=seen.ended,
            dependency=meaning.dependency,
        )
    if seen.code is not None and seen.code in _SHELL:
        kind, cause = _SHELL[seen.code]
        line = next((x for x in seen.lines if rules.match(plain(x), log=True) is kind), "")
        cause = f"{cause} ({seen.ended})" + _quoted(line or seen.event)
        return Failure(kind, cause, todo(kind, line, identity), kind in PERMANENT, evidence=seen.ended)
    told = _by_log(seen, identity)
    if told or not seen.ended:
        return told
    cause = f"the container ended with {seen.ended}" + _quoted(seen.event)
    advice = TODO[_F.APPLICATION] + (_MAYBE_MEMORY if seen.code == 137 else "")
    return Failure(_F.APPLICATION, cause, advice, evidence=seen.ended)


def _by_log(seen: Evidence, identity: str) -> Failure | None:
    """Ask the last log lines, newest first, where the exit code leaves it open."""
    for line in seen.lines:
        words = plain(line)
        kind = None
        if seen.code in _VAGUE:
            kind = rules.match(words, log=True)
        elif seen.code in _KILLED:
            kind = next((r.kind for r in (rules.MEMORY, rules.TIMEOUT) if r.phrases.search(words)), None)
        if kind:
            return _found(kind, f"log line {shown(line)}", line, identity, seen.ended)
    return None


def _found(kind: FailureClass, evidence: str, text: str, identity: str, ended: str = "") -> Failure:
    cause = _CAUSES.get(kind, "it failed") + (f" ({ended})" if ended else "") + _quoted(text)
    return Failure(kind, cause, todo(kind, text, identity), kind in PERMANENT, evidence)


def listed(lines: Sequence[str]) -> str:
    """Give the last log lines as the end of a message."""
    return "\nLast log lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _quoted(text: str) -> str:
    return f": {text}" if text else ""
