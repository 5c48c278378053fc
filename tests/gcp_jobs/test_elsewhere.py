"""The ladder's last rung: an attempt on the other backend, in real DAG runs (dag.test) against the emulator."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.gcp_jobs.test_retries import AT_ONCE, Fault, apart, jobs, spec, told

from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.errors import TemplateError
from gcp_jobs.model import JobRef, JobState
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.settings import settings
from gcp_jobs.template import inline

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])


@both
def test_a_batch_job_that_finds_no_machine_runs_on_cloud_run(
    emulator: Any,
    fault: Fault,
    run_operator: Run,
    deferrable: bool,
) -> None:
    name = f"no-machine-{deferrable}".lower()
    fault(kind="exhaust", machine_type="n2-standard-4", region="europe-west1")
    policy = {"stock_out": {"same_rung": 0, **AT_ONCE}, "ladder": {"other_backend": True, "patience": "1s"}}
    ran = run_operator(
        BatchJobOperator, f"no_machine_{deferrable}", deferrable=deferrable, polling_period_seconds=1,
        spec=spec(name, "echo $HELLO there", machine_type="n2-standard-4", policy=policy), env={"HELLO": "over"},
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert "over there" in ran.log
    assert ran.result["execution"].startswith(name)
    (first,) = jobs(f"no_machine_{deferrable}".lower())
    (second,) = CloudRunBackend(Access()).list(JobRef("cloud_run", "local-project", "europe-west1", name))
    assert (first.state, second.state) == (JobState.CANCELLED, JobState.SUCCEEDED)
    assert apart([first, second])
    assert told(f"no_machine_{deferrable}")[-1][3].startswith("cloud_run")


def test_an_execution_without_quota_runs_on_batch(emulator: Any, run_operator: Run) -> None:
    policy = {"quota": {"budget": 1, "same_rung": 0, **AT_ONCE}, "ladder": {"other_backend": True}}
    script = '[ -n "$CLOUD_RUN_JOB" ] && exit 9; echo on $BATCH_JOB_ID'
    codes = {9: {"means": "no quota", "class": "quota"}}
    ran = run_operator(
        CloudRunJobOperator, "no_quota", spec=spec("no-quota", script, exit_codes=codes, policy=policy),
        polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "success", ran.log
    (job,) = jobs("no_quota")
    assert f"on {job.ref.job}" in ran.log
    assert [rung.partition(" ")[0] for *_, rung in told("no_quota")] == ["cloud_run", "batch"]


def test_a_job_that_fits_one_backend_only_is_refused_by_what_ties_it() -> None:
    """A rung that is left out in silence would be missed on the night that it is needed."""
    ladder = {"policy": {"ladder": {"other_backend": True}}}
    values = {"name": "tied", "image": "i", "secret_files": {"/secrets/key": "key"}, **ladder}
    with pytest.raises(
        TemplateError, match="other_backend: the job fits one backend only, for it has secret_files"
    ):
        inline(values, settings())
