"""Whatever happens to Airflow, a job is cancelled when a user says so, and only then (all hazards: make hazards)."""

import pytest
from benchmarks.hazards import run

from laptop.progress import Progress


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_a_triggerer_that_comes_back_from_a_stall_cancels_what_users_ended_and_nothing_else() -> None:
    verdicts = run(["quick"], Progress())
    assert [each for each in verdicts if not each.ok] == []
    assert {each.action for each in verdicts} == {"nothing", "clear", "failed"}
