"""A triggerer that dies takes no waiting task with it."""

import pytest
from benchmarks.faults_triggerer import triggerer_killed

from laptop.progress import Progress


@pytest.mark.airflow
@pytest.mark.timeout(420)
def test_tasks_outlive_their_triggerer_with_the_right_verdict_and_without_a_second_job() -> None:
    ok, told = triggerer_killed(12, Progress())
    assert ok, told
