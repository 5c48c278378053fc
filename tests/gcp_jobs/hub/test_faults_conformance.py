"""The judge of `make conformance` finds what is wrong: else its table would be worth nothing."""

import pytest
from benchmarks.attempt import Verdict
from benchmarks.conformance import LEADS_TO, Cell, judged, summed

from gcp_jobs.model import TERMINAL, JobState

NO = Verdict(False, "AirflowException: Job with name [c-1] timed out")


@pytest.mark.parametrize(
    ("state", "verdict", "job", "right"),
    [
        ("RUNNING", Verdict(True, ""), "SUCCEEDED", True),
        ("RUNNING", Verdict(True, ""), "RUNNING", False),
        ("SUCCEEDED", NO, "SUCCEEDED", False),
        ("FAILED", Verdict(True, ""), "FAILED", False),
        ("FAILED", Verdict(False, "Job failed [application]"), "FAILED", True),
        ("CANCELLED", NO, "CANCELLED", False),
        ("CANCELLATION_IN_PROGRESS", Verdict(False, "Job failed [cancelled]"), "CANCELLED", True),
        ("CANCELLATION_IN_PROGRESS", Verdict(False, "[cancelled]"), "CANCELLATION_IN_PROGRESS", False),
        ("DELETION_IN_PROGRESS", Verdict(False, "it is being deleted"), "DELETION_IN_PROGRESS", False),
        ("DELETION_IN_PROGRESS", Verdict(False, "404 was not found"), "GONE", True),
    ],
)
def test_a_verdict_is_right_only_at_the_jobs_end_and_only_if_it_names_that_end(
    state: str, verdict: Verdict, job: str, right: bool
) -> None:
    row = judged(Cell("ours", state, True, "after"), verdict, job)
    assert row["right"] is right
    assert summed([row])["ours"] == {"right": int(right), "of": 1}


def test_every_state_is_shown_and_leads_to_an_end() -> None:
    assert set(LEADS_TO) == set(JobState)
    assert set(LEADS_TO.values()) <= TERMINAL
