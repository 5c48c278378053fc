"""Whatever happens to Airflow, a job is cancelled when a user says so, and only then (all hazards: make hazards)."""

import pytest
from benchmarks.hazards import run

from laptop.progress import Progress


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_what_users_ended_is_cancelled_after_a_stall_or_where_nobody_waits_and_nothing_else() -> None:
    """One Airflow for both: its start takes longer than either."""
    verdicts = run(["quick", "nobody"], Progress())
    assert [each for each in verdicts if not each.ok] == []
    assert {each.action for each in verdicts} == {"nothing", "clear", "failed", "success", "run failed"}
