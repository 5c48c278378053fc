"""Why a run failed, in words that say what to do. Total: any state, text and code gives one answer, always the same."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_jobs.errors import (
    ApiError,
    ConfigurationRefused,
    ImageRefused,
    PermissionRefused,
    QuotaExhausted,
    TransientApiError,
)
from gcp_jobs.failure import ErrorType, FailureClass, explain, of_error
from gcp_jobs.model import ExitInfo, JobRef, JobState, JobStatus

REF = JobRef("cloud_run", "p", "europe-west1", "j", "j-1")


def meaning(kind: FailureClass, *, retry: bool = True, dependency: str = "") -> Any:
    """What a template says of an exit code."""
    return SimpleNamespace(means="m", todo="t", kind=kind, retry=retry, dependency=dependency)


MEANINGS: Any = {
    3: meaning(FailureClass.CONFIGURATION, retry=False),
    4: meaning(FailureClass.DEPENDENCY_DOWN, dependency="dog api"),
    5: meaning(FailureClass.APPLICATION),
}


@pytest.mark.parametrize(
    ("state", "reason", "message", "exit_info", "kind", "permanent"),
    [
        ("GONE", "", "last seen RUNNING", ExitInfo(), "gone", False),
        ("CANCELLED", "CANCELLED", "", ExitInfo(), "cancelled", True),
        ("FAILED", "CONTAINER_MISSING", "Image 'x' not found.", ExitInfo(), "image", True),
        ("FAILED", "SECRETS_ACCESS_CHECK_FAILED", "secret 's' not found", ExitInfo(), "permission", True),
        ("FAILED", "VPC_NETWORK_NOT_FOUND", "", ExitInfo(), "configuration", True),
        ("FAILED", "NON_ZERO_EXIT_CODE", "Memory limit of 512 MiB exceeded with 530 MiB used.", ExitInfo(137),
         "out_of_memory", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "Terminating task because it has reached the maximum timeout of 60 seconds",
         ExitInfo(143, 15), "timed_out", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(137), "application", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(124), "timed_out", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(127), "image", True),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(5), "application", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(3), "configuration", True),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(4), "dependency_down", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "Task j-task0 failed with exit code: 4 and message: The container exited with "
         "an error.", ExitInfo(4), "dependency_down", False),
        ("FAILED", "JOB_STATUS_SERVICE_POLLING_ERROR", "", ExitInfo(), "network", False),
        ("FAILED", "", "", ExitInfo(50002), "host_lost", False),
        ("FAILED", "", "", ExitInfo(), "unknown", False),
    ],
)  # fmt: skip
def test_evidence_leads_to_its_class(
    state: str, reason: str, message: str, exit_info: ExitInfo, kind: str, permanent: bool
) -> None:
    failure = explain(JobStatus(REF, JobState(state), reason, message), exit_info, MEANINGS)
    assert (failure.kind, failure.permanent) == (kind, permanent)
    assert failure.cause
    assert failure.todo
    assert failure.evidence
    assert failure.dependency == ("dog api" if kind == "dependency_down" else "")


@pytest.mark.parametrize(
    ("code", "lines", "kind"),
    [
        (1, ["starting", "ConnectionResetError: [Errno 104] Connection reset by peer"], "network"),
        (1, ["PermissionDenied: 403 x", *["working"] * 10], "application"),
        (42, ["ConnectionResetError: [Errno 104] Connection reset by peer"], "application"),
        (137, ["Killed process 7: out of memory"], "out_of_memory"),
        (137, ["Connection reset by peer"], "application"),
        (4, ["MemoryError"], "dependency_down"),
        (None, ["Terminating task because it has reached the maximum timeout of 60 seconds."], "timed_out"),
    ],
)
def test_log_lines_speak_only_where_the_exit_code_is_vague_and_only_the_last_ones(
    code: int | None, lines: list[str], kind: str
) -> None:
    status = JobStatus(REF, JobState.FAILED, "NON_ZERO_EXIT_CODE")
    assert explain(status, ExitInfo(code), MEANINGS, lines).kind == kind


def test_names_that_people_give_decide_nothing() -> None:
    """A job called after quotas or timeouts would otherwise be retried for the wrong reason."""
    ref = JobRef("batch", "p", "r1", "quota-exceeded-timeout")
    message = f"Job state is set from RUNNING to FAILED for job {ref.name}. Job failed due to task failure."
    assert explain(JobStatus(ref, JobState.FAILED, message=message), ExitInfo(1), {}).kind == "application"
    execution = "Task permission-denied-x2-task0 failed with exit code: 7 and message: The container exited."
    assert explain(JobStatus(REF, JobState.FAILED, message=execution), ExitInfo(7), {}).kind == "application"


def test_a_later_success_is_not_masked_by_an_earlier_attempts_code() -> None:
    earlier = "Task state is updated from RUNNING to FAILED due to Spot VM preemption with exit code 50001."
    status = JobStatus(REF, JobState.SUCCEEDED, "CODE_GCE_QUOTA_EXCEEDED", earlier)
    assert explain(status, ExitInfo(50001), {}, ["MemoryError"]).kind is FailureClass.UNKNOWN
    last = explain(JobStatus(REF, JobState.FAILED), ExitInfo(9, message="exit code 9"), {}, [])
    assert (last.kind, last.evidence) == ("application", "exit code 9")


@pytest.mark.parametrize(
    ("text", "identity", "todo"),
    [
        ("PERMISSION_DENIED: User not authorized to perform this action on projects/p/topics/status.", "job@p.iam.x",
         "Needs roles/pubsub.publisher on topic projects/p/topics/status for service account job@p.iam.x."),
        ("Permission denied on secret: projects/p/secrets/k/versions/1 for Revision service account "
         "j@p.iam.gserviceaccount.com.", "",
         "Needs roles/secretmanager.secretAccessor on secret projects/p/secrets/k/versions/1 for service account "
         "j@p.iam.gserviceaccount.com."),
        ("Permission 'iam.serviceaccounts.actAs' denied on service account job@p.iam.gserviceaccount.com", "job@p",
         "Needs roles/iam.serviceAccountUser on service account job@p.iam.gserviceaccount.com for the identity that "
         "submits the job."),
        ("Permission 'dns.managedZones.list' denied on resource", "",
         "Needs a role with dns.managedZones.list for the job's service account."),
        ("403: Foo API has not been used in project 12 before or it is disabled.", "",
         "Enable the API that is named above in the project."),
        ("PERMISSION_DENIED: no", "", "The message above names the right that is missing."),
    ],
)  # fmt: skip
def test_a_missing_right_is_named_with_role_resource_and_identity(
    text: str, identity: str, todo: str
) -> None:
    status = JobStatus(REF, JobState.FAILED, message=text)
    failure = explain(status, ExitInfo(), {}, identity=identity)
    assert (failure.kind, failure.todo) == (FailureClass.PERMISSION, todo)


def test_an_unmatched_failure_says_all_that_was_seen() -> None:
    status = JobStatus(REF, JobState.FAILED, "ODD_REASON", "Strange things happened.")
    failure = explain(status, ExitInfo(), {}, ["first", "bye"])
    assert failure.kind is FailureClass.UNKNOWN
    for seen in ("FAILED", "ODD_REASON", "Strange things happened.", "bye"):
        assert seen in failure.cause


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (QuotaExhausted("x"), "quota"),
        (TransientApiError("x"), "network"),
        (PermissionRefused("x"), "permission"),
        (ImageRefused("x"), "image"),
        (ConfigurationRefused("x"), "configuration"),
        (ApiError("Quota 'CPUS' exceeded."), "quota"),
        (ApiError("x"), "unknown"),
    ],
)
def test_a_refused_call_has_a_class_too(error: ApiError, kind: str) -> None:
    assert of_error(error).kind == kind


def test_every_class_has_one_of_the_documents_types() -> None:
    assert {kind.error_type for kind in FailureClass} == set(ErrorType)


def test_a_message_of_megabytes_holds_nobody_up() -> None:
    """A container that prints a dump as one line, or an API that answers with a page, must not stop a worker."""
    flood = "quota " * 500_000
    started = time.process_time()
    explain(JobStatus(REF, JobState.FAILED, flood, flood), ExitInfo(1, message=flood), {}, [flood] * 20)
    assert time.process_time() - started < 5


STATES = st.sampled_from(JobState)
WORDS = st.sampled_from(
    ["Permission 'a.b.c' denied", "exit code 50001", "(50006)", "memory", "quota exceeded", "projects/p/topics/t",
     "x@y.gserviceaccount.com", "roles/x.", "timeout", "'", '"', "\n", "\x00", "…"]
)  # fmt: skip
TEXTS = st.text(max_size=60) | st.lists(WORDS, max_size=6).map(" ".join)
CODES = st.builds(
    ExitInfo,
    st.none() | st.integers(-1, 300) | st.integers(49_999, 50_007) | st.integers(),
    st.none() | st.integers(0, 64),
    st.none() | st.integers(0, 9),
    TEXTS,
)


@settings(deadline=None)
@given(STATES, TEXTS, TEXTS, CODES, st.lists(TEXTS, max_size=4), TEXTS)
def test_any_evidence_gives_one_answer(
    state: JobState, reason: str, message: str, exit_info: ExitInfo, lines: list[str], identity: str
) -> None:
    status = JobStatus(REF, state, reason, message)
    first = explain(status, exit_info, MEANINGS, lines, identity)
    assert first == explain(status, exit_info, MEANINGS, lines, identity)
    assert first.kind in FailureClass
    assert first.error_type in ErrorType
    assert first.error(status).permanent is first.permanent
    assert str(first.error(status, ["a", "b"])).endswith("Last log lines:\n  a\n  b")
