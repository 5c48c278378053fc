"""CloudRunJobOperator in real DAG runs (dag.test) against the emulator, deferrable and not."""

from collections.abc import Callable
from typing import Any

import pytest

from gcp_jobs.operators.cloud_run import CloudRunJobOperator

pytestmark = pytest.mark.airflow
SPEC = {"name": "sample", "image": "repo/sample-job:1", "memory": "512Mi"}
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])


@both
def test_a_job_runs_and_leaves_a_small_result(emulator: Any, run_operator: Run, deferrable: bool) -> None:
    spec = {**SPEC, "name": f"ok-{deferrable}".lower()}
    ran = run_operator(
        CloudRunJobOperator, f"ok_{deferrable}", spec=spec, args=["json"], deferrable=deferrable
    )
    print(ran.log)

    assert ran.state == "success"
