"""What an operator does after failures of the infrastructure, in real DAG runs (dag.test) against the emulator."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access, client
from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import ledger
from gcp_jobs.model import JobState, JobStatus
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
Fault = Callable[..., None]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
BACKEND = BatchBackend(Access())
AT_ONCE = {"first_delay": "1s", "longest_delay": "1s"}
EAT = "import time; hoard = b'x' * 2**28; time.sleep(30)"
KILLED = {137: {"means": "killed for want of memory", "class": "out_of_memory"}}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.delenv("GCP_JOBS_STATUS_TOPIC", raising=False)


def spec(name: str, script: str = "echo hello", **changes: Any) -> dict[str, Any]:
    """A job of this test alone; what other tests did to its place opens no breaker."""
    job = {"name": name, "image": "busybox", "command": ["sh", "-c", script], "memory": "512Mi", **changes}
    return {**job, "policy": {"breaker": {"failures": 1000}, **changes.get("policy", {})}}


def jobs(dag: str, region: str = "europe-west1") -> list[JobStatus]:
    """A DAG's jobs, first to last."""
    return list(reversed(BACKEND.search("local-project", region, f'labels.airflow-dag-id="{dag}"')))


def told(dag: str) -> list[tuple[Any, ...]]:
    """What the ledger knows of the DAG's attempts."""
    kept = ledger()
    assert kept
    rows = [row for row in kept.read(queries.newest(100, dag_id=dag))]
    attempts = [a for row in reversed(rows) for a in kept.read(queries.tries(row["entry"]))]
    return [(a["number"], a["failure_class"], a["action"], a["rung"]) for a in attempts]


def apart(found: list[JobStatus]) -> bool:
    """Whether each job had ended before the next was created."""
    pairs = itertools.pairwise(found)
    return all(a.ended and b.created and a.ended <= b.created for a, b in pairs)


@both
def test_a_preempted_job_runs_again_then_on_standard_within_one_airflow_try(
    emulator: Any, fault: Fault, run_operator: Run, deferrable: bool
) -> None:
    dag = f"preempted_{deferrable}".lower()
    fault(kind="preempt", job=f"*{dag.replace('_', '-')}*", times=2)
    policy = {"preempted": {"same_rung": 1, **AT_ONCE}}
    ran = run_operator(
        BatchJobOperator,
        dag,
        spec=spec(dag.replace("_", "-"), "sleep 1; echo done", provisioning="spot", policy=policy),
        deferrable=deferrable,
        polling_period_seconds=1,
    )
    assert ran.state == "success", ran.log
    found = jobs(dag)
    assert [job.state for job in found] == [JobState.FAILED, JobState.FAILED, JobState.SUCCEEDED]
    assert apart(found)
    assert [(a["run"], a["class"], a["action"]) for a in ran.result["attempts"]] == [
        (found[0].ref.name, "preempted", "again"),
        (found[1].ref.name, "preempted", "climb"),
    ]
    assert "Airflow's retries stay unused" in ran.log
    assert [(n, kind, action) for n, kind, action, _ in told(dag)] == [
        (1, "preempted", "again"), (2, "preempted", "climb"), (3, None, None),
    ]  # fmt: skip
    assert "standard" in str(told(dag)[-1][3])


def test_a_budget_that_is_spent_is_a_dead_letter(emulator: Any, fault: Fault, run_operator: Run) -> None:
    fault(kind="preempt", job="*spends*", times=None)
    policy = {"preempted": {**AT_ONCE, "budget": 1}}
    ran = run_operator(
        BatchJobOperator, "spends", spec=spec("spends", "sleep 20", provisioning="spot", policy=policy),
        polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "failed"
    assert "its budget of 1 is spent; no retry of Airflow is left" in ran.log
    assert [(kind, action) for _, kind, action, _ in told("spends")] == [
        ("preempted", "again"), ("preempted", "dead_letter"),
    ]  # fmt: skip
    assert len(jobs("spends")) == 2


def test_want_of_memory_is_met_by_more(emulator: Any, run_operator: Run) -> None:
    job = spec(
        "eats",
        memory="128Mi",
        exit_codes=KILLED,
        policy={"out_of_memory": {"same_rung": 0, **AT_ONCE}},
    )
    # held for a while: what a process has had for some milliseconds before its end no watcher of memory sees
    job["command"] = ["python3", "-c", "import time; hoard = b'x' * (200 * 2**20); time.sleep(2)"]
    ran = run_operator(BatchJobOperator, "eats", spec=job, polling_period_seconds=1)
    assert ran.state == "success", ran.log
    assert [a["class"] for a in ran.result["attempts"]] == ["out_of_memory"]
    assert "256Mi" in str(told("eats")[-1][3])


@both
def test_a_job_queued_for_want_of_machines_goes_elsewhere_and_never_runs_twice(
    emulator: Any, fault: Fault, run_operator: Run, deferrable: bool
) -> None:
    dag = f"short_{deferrable}".lower()
    fault(kind="exhaust", machine_type="n2-standard-4", region="europe-west1")
    policy = {
        "stock_out": {"same_rung": 0, **AT_ONCE},
        "ladder": {"regions": ["europe-west4"], "patience": "2s"},
    }
    ran = run_operator(
        BatchJobOperator, dag, spec=spec("short", machine_type="n2-standard-4", policy=policy), deferrable=deferrable,
        polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "success", ran.log
    first, second = *jobs(dag), *jobs(dag, "europe-west4")
    assert (first.state, second.state) == (JobState.CANCELLED, JobState.SUCCEEDED)
    assert apart([first, second])
    assert ran.result["region"] == "europe-west4"
    assert [a["class"] for a in ran.result["attempts"]] == ["stock_out"]


def test_the_deadline_holds_over_all_attempts(emulator: Any, fault: Fault, run_operator: Run) -> None:
    fault(kind="preempt", job="*hurried*", times=None)
    policy = {"preempted": {"budget": 50, "first_delay": "1s", "longest_delay": "1s"}}
    ran = run_operator(
        BatchJobOperator, "hurried", spec=spec("hurried", "sleep 20", provisioning="spot", policy=policy),
        polling_period_seconds=1, timeout_seconds=5,
    )  # fmt: skip
    assert ran.state == "failed"
    between, during = "no time is left for another attempt before the deadline", "is past its deadline"
    assert between in ran.log or during in ran.log  # it passes in a pause or while an attempt runs
    assert len(jobs("hurried")) < 20
    assert all(job.terminal for job in jobs("hurried"))


@pytest.mark.parametrize(("code", "kind", "runs"), [(127, "image", 1), (9, "application", 2)])
def test_what_is_not_the_infrastructures_fault_is_left_to_airflows_retries(
    emulator: Any, run_operator: Run, code: int, kind: str, runs: int
) -> None:
    """An image that is not there ends the task; the application's own failure is tried `retries` times, not more."""
    ran = run_operator(
        BatchJobOperator, f"mine_{code}", spec=spec("mine", f"exit {code}"), retries=1,
        retry_delay=timedelta(0), polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "failed"
    assert len(jobs(f"mine_{code}")) == runs
    assert told(f"mine_{code}")[0][1:3] == (kind, "dead_letter" if kind == "image" else "retry")
    assert {number for number, *_ in told(f"mine_{code}")} == {1}


FLAKY = """
if [ "$CLOUD_RUN_TASK_INDEX$BATCH_TASK_INDEX" = 1 ] && [ -z "$GCP_JOBS_TASK_INDICES" ]; then sleep 1; exit 7; fi
echo "tasks <$GCP_JOBS_TASK_INDICES>"
"""
WEAK = {7: {"means": "the connection broke", "class": "network"}}


@pytest.mark.parametrize("operator", [BatchJobOperator, CloudRunJobOperator])
def test_only_the_failed_tasks_of_an_array_run_again(emulator: Any, run_operator: Run, operator: Any) -> None:
    policy = {"array": "failed", "network": AT_ONCE}
    ran = run_operator(
        operator, f"array_{operator.backend_name}", polling_period_seconds=1,
        spec=spec("array", FLAKY, task_count=3, parallelism=3, exit_codes=WEAK, policy=policy),
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert ran.result["tasks"]["total"] == 1
    assert "tasks <1>" in ran.log


def test_an_execution_gets_more_memory_where_its_definition_is_ours_to_write(
    emulator: Any, run_operator: Run
) -> None:
    job = spec("thirsty", policy={"out_of_memory": {"same_rung": 0, **AT_ONCE}})
    eats = "import sys, time; hoard = b'x' * (int(sys.argv[1]) * 2**20); time.sleep(2)"
    job["command"] = ["python3", "-c", eats]
    ran = run_operator(CloudRunJobOperator, "thirsty", spec=job, args=["700"], polling_period_seconds=1)
    assert ran.state == "success", ran.log
    assert [(a["class"], a["rung"]) for a in ran.result["attempts"]] == [
        ("out_of_memory", "cloud_run (europe-west1, 512Mi)")
    ]
    assert ran.result["job"] == "thirsty-1gi"
    api = client("Jobs", Access())
    sizes = {
        name: api.get_job(name=f"projects/local-project/locations/europe-west1/jobs/{name}")
        .template.template.containers[0]
        .resources.limits["memory"]
        for name in ("thirsty", "thirsty-1gi")
    }
    assert sizes == {"thirsty": "512Mi", "thirsty-1gi": "1Gi"}, "others run the definition as it is"
    ran = run_operator(
        CloudRunJobOperator, "parched", spec=job, manage_job=False, polling_period_seconds=1,
        args=["1500"],
    )  # fmt: skip
    assert ran.state == "failed"
    assert "another attempt needs other memory, which the job's deployment sets" in ran.log


def test_an_execution_goes_to_another_region_where_its_own_has_no_quota(
    emulator: Any, run_operator: Run
) -> None:
    policy = {"quota": {"budget": 1, "same_rung": 0, **AT_ONCE}, "ladder": {"regions": ["europe-west4"]}}
    codes = {9: {"means": "no quota", "class": "quota"}}
    ran = run_operator(
        CloudRunJobOperator, "moves", spec=spec("moves", "exit 9", exit_codes=codes, policy=policy),
        deferrable=False, polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "failed"
    assert [(kind, action, rung) for _, kind, action, rung in told("moves")] == [
        ("quota", "climb", "cloud_run (europe-west1, 512Mi)"),
        ("quota", "dead_letter", "cloud_run (europe-west4, 512Mi)"),
    ]


def test_a_place_that_keeps_failing_is_skipped_from_the_start(
    emulator: Any, fault: Fault, run_operator: Run
) -> None:
    fault(kind="exhaust", machine_type="n2-standard-8", region="europe-west1", fails=True)
    policy = {
        "stock_out": {"same_rung": 0, **AT_ONCE},
        "ladder": {"regions": ["europe-west4"]},
        "breaker": {"failures": 1},
    }
    job = spec("skips", machine_type="n2-standard-8", policy=policy)
    first, second = (
        run_operator(BatchJobOperator, f"skips_{n}", spec=job, polling_period_seconds=1) for n in (1, 2)
    )
    assert (first.state, second.state) == ("success", "success"), first.log + second.log
    assert [len(ran.result["attempts"]) for ran in (first, second)] == [1, 0]
    assert "keeps failing of late: beginning at" in second.log
    assert jobs("skips_2") == []


def test_a_try_that_died_in_the_pause_is_gone_on_with_by_the_next(
    emulator: Any, fault: Fault, run_operator: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(kind="preempt", job="*orphaned*", times=1)
    deaths = [OSError("the worker dies")]

    def rest(self: Any, until: float) -> None:
        self.on_kill()
        if deaths:
            raise deaths.pop()

    monkeypatch.setattr(BatchJobOperator, "_rest", rest)
    policy = {"preempted": {"same_rung": 0, **AT_ONCE}}
    ran = run_operator(
        BatchJobOperator, "orphaned", spec=spec("orphaned", "sleep 1", provisioning="spot", policy=policy),
        deferrable=False, retries=1, retry_delay=timedelta(0), polling_period_seconds=1,
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert [(a["class"], a["action"]) for a in ran.result["attempts"]] == [("preempted", "climb")]
    assert [job.state for job in jobs("orphaned")] == [JobState.FAILED, JobState.SUCCEEDED]
    assert "standard" in str(told("orphaned")[-1][3])
    assert emulator.count("CancelJob") == 0


@both
@pytest.mark.parametrize(("script", "limit"), [("exit 7", None), ("sleep 60", 2)], ids=["failed", "late"])
def test_retries_that_are_for_tries_that_died_run_no_failed_job_again(
    emulator: Any, run_operator: Run, deferrable: bool, script: str, limit: float | None
) -> None:
    dag = f"no_second_{'late' if limit else 'failed'}_{deferrable}".lower()
    ran = run_operator(
        BatchJobOperator,
        dag,
        spec=spec(dag.replace("_", "-"), script),
        deferrable=deferrable,
        timeout_seconds=limit,
        retries=3,
        retry_delay=timedelta(0),
        retry_failed=False,
        polling_period_seconds=1,
    )
    assert ran.state == "failed", ran.log
    assert len(jobs(dag)) == 1
    assert [action for _, _, action, _ in told(dag)] == ["dead_letter"]
