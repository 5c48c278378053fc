"""Why a run failed, in words that say what to do. Total: any state, text and code gives one answer, always the same."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.failure import FailureClass, explain
from gcp_jobs.model import ExitInfo, JobRef, JobState, JobStatus

REF = JobRef("cloud_run", "p", "europe-west1", "j", "j-1")
MEANINGS: Any = {
    3: SimpleNamespace(means="settings are wrong", todo="Correct them.", retry=False),
    4: SimpleNamespace(means="the source is down", todo="Wait.", retry=True),
}


@pytest.mark.parametrize(
    ("state", "reason", "message", "exit_info", "kind", "permanent"),
    [
        ("GONE", "", "last seen RUNNING", ExitInfo(), "gone", False),
        ("CANCELLED", "CANCELLED", "", ExitInfo(), "cancelled", False),
        ("FAILED", "CONTAINER_MISSING", "Image 'x' not found.", ExitInfo(), "image", True),
        ("FAILED", "SECRETS_ACCESS_CHECK_FAILED", "secret 's' not found", ExitInfo(), "permission", True),
        ("FAILED", "VPC_NETWORK_NOT_FOUND", "", ExitInfo(), "configuration", True),
        ("FAILED", "NON_ZERO_EXIT_CODE", "Memory limit of 512 MiB exceeded with 530 MiB used.", ExitInfo(137),
         "out_of_memory", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "Terminating task because it has reached the maximum timeout of 60 seconds",
         ExitInfo(143, 15), "timed_out", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(137), "application", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(4), "application", False),
        ("FAILED", "NON_ZERO_EXIT_CODE", "", ExitInfo(3), "configuration", True),
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


STATES = st.sampled_from([JobState.FAILED, JobState.CANCELLED, JobState.GONE])
CODES = st.builds(
    ExitInfo, st.none() | st.integers(-1, 300), st.none() | st.integers(0, 64), st.none(), st.text()
)


@given(STATES, st.text(max_size=40), st.text(max_size=200), CODES)
def test_any_evidence_gives_one_answer(
    state: JobState, reason: str, message: str, exit_info: ExitInfo
) -> None:
    status = JobStatus(REF, state, reason, message)
    first = explain(status, exit_info, MEANINGS)
    assert first == explain(status, exit_info, MEANINGS)
    assert first.kind in FailureClass
    assert first.error(status).permanent is first.permanent
    assert str(first.error(status, ["a", "b"])).endswith("Last log lines:\n  a\n  b")
