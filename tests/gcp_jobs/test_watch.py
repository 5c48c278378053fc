"""Tasks that go silent: flagged in the task log, and where the job may run twice, run again elsewhere."""

import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.gcp_jobs.tries import BACKENDS, SPEC

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobSpec, JobState
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.waiting import drive, wait

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
RETRY = {"first_delay": "1s", "longest_delay": "1s"}


def spec(name: str, script: str, **policy: Any) -> dict[str, Any]:
    policy = {"breaker": {"failures": 1000}, "host_lost": {"budget": 1, **RETRY}, **policy}
    return {
        "name": name, "image": "busybox", "command": ["sh", "-c", script], "memory": "512Mi", "policy": policy,
    }  # fmt: skip


@both
def test_a_silent_job_is_flagged_once_and_left_to_run(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    """Whoever looks at the log must see that nothing comes any more; a job that may not run twice goes on."""
    name = f"silent-{deferrable}".lower()
    ran = run_operator(
        CloudRunJobOperator, f"silent_{deferrable}", deferrable=deferrable, polling_period_seconds=0.5,
        spec=spec(name, "echo hello; sleep 5; echo bye", heartbeat="1s"),
    )  # fmt: skip
    assert ran.state == "success", ran.log
    flags = re.findall(r"task 0 is silent for (\d) s, longer than 1 s \(the heartbeat\)", ran.log)
    assert len(flags) == 1
    assert ran.log.index("hello") < ran.log.index("is silent for") < ran.log.index("bye")
    job = JobRef("cloud_run", "local-project", "europe-west1", name)
    assert [run.state for run in CloudRunBackend(Access()).list(job)] == [JobState.SUCCEEDED]


@both
def test_an_idempotent_job_that_went_silent_is_cancelled_and_run_again_elsewhere(
    emulator: Any, run_operator: Run, tmp_path: Path, deferrable: bool
) -> None:
    name, mark = f"hangs-{deferrable}".lower(), tmp_path / "mark"
    script = f"[ -e {mark} ] && exit 0; touch {mark}; echo hangs now; sleep 100"
    job = spec(name, script, heartbeat="2s", idempotent=True)
    ran = run_operator(
        BatchJobOperator, f"hangs_{deferrable}", deferrable=deferrable, polling_period_seconds=0.5,
        spec={**job, "provisioning": "spot"},
    )  # fmt: skip
    assert ran.state == "success", ran.log
    (attempt,) = ran.result["attempts"]
    assert (attempt["class"], attempt["action"]) == ("host_lost", "climb")
    found = BatchBackend(Access()).search(
        "local-project", "europe-west1", f'labels.airflow-dag-id="hangs_{deferrable}"'.lower()
    )
    again, first = found
    assert (first.state, again.state) == (JobState.CANCELLED, JobState.SUCCEEDED)
    assert first.ended <= again.created, "both ran at once"


def test_with_its_budget_spent_a_silent_job_is_waited_for(emulator: Any, run_operator: Run) -> None:
    """A job that is merely quiet must end well in the end, not be chased around."""
    job = spec("quiet", "sleep 4", heartbeat="1s", idempotent=True, host_lost={"budget": 0})
    ran = run_operator(CloudRunJobOperator, "quiet", spec=job, polling_period_seconds=0.5)
    assert (ran.state, ran.result["attempts"]) == ("success", [])
    assert ran.log.count("is waited for all the same") == 1


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_start_and_end_of_each_task_are_read(emulator: Any, backend: str) -> None:
    """By its siblings' times a silent task of an array is told."""
    values = {
        "name": "siblings",
        "project": "local-project",
        "region": "europe-west1",
        "environment": "local",
    }
    spec = JobSpec.model_validate(
        {**values, **SPEC, "args": ["seconds=0.2"], "task_count": 4, "parallelism": 4}
    )
    here, where = BACKENDS[backend], JobRef(backend, spec.project, spec.region, spec.name)
    here.ensure(spec)
    run = here.submit(RunRequest(where, run_key="siblings", spec=spec))
    drive(wait(run, deadline=None, period=0.5, log=logging.getLogger()), here, run, None)
    seen = list(here.sights(run))
    assert sorted(task.index for task in seen) == [0, 1, 2, 3]
    assert all(t.started and t.ended and 0.1 < (t.ended - t.started).total_seconds() < 5 for t in seen)
    assert sorted(asyncio.run(here.asights(run)), key=lambda t: t.index) == sorted(
        seen, key=lambda t: t.index
    )
