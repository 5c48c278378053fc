"""What follows a failure: the contract's table, and whatever happens, no budget is overdrawn, no rung climbed twice."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_jobs.decision import TASK_INDICES, Action, Decision, History, decide, stuck
from gcp_jobs.failure import PERMANENT, Failure, FailureClass
from gcp_jobs.ladder import Rung
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.policy import Ladder, Policy, Retry
from gcp_jobs.spec import JobSpec


def spec(**values: Any) -> JobSpec:
    """A job on spot."""
    base = {
        "name": "j", "project": "p", "region": "us-central1", "environment": "dev", "image": "i",
        "provisioning": "spot", "machine_type": "e2-standard-2",
    }  # fmt: skip
    return JobSpec.model_validate(base | values)


def failure(kind: str, *, permanent: bool = False) -> Failure:
    """A failure of a class."""
    kind = FailureClass(kind)
    return Failure(kind, "c", "t", permanent=permanent or kind in PERMANENT)


def follow(
    kinds: list[str], policy: Policy, job: JobSpec, backend: str = "batch", **options: Any
) -> list[Decision]:
    """The decisions that follow one failure after another, until it stops."""
    history, found = History.begin(job, backend, policy), []
    for kind in kinds:
        decision = decide(failure(kind), history, policy, job, jitter=lambda: 0.5, **options)
        found.append(decision)
        if decision.action is Action.STOP:
            break
        history = history.after(failure(kind), decision)
    return found


def actions(decisions: list[Decision]) -> list[str]:
    """Their actions."""
    return [str(decision.action) for decision in decisions]


@pytest.mark.parametrize(
    ("kind", "followed"),
    [
        ("preempted", ["again", "climb", "again", "stop"]),
        ("host_lost", ["again", "again", "stop"]),
        ("out_of_memory", ["climb", "climb", "stop"]),
        ("timed_out", ["stop"]),
        ("stock_out", ["climb", "climb", "climb", "stop"]),
        ("quota", ["again", "again", "climb", "again", "again", "stop"]),
        ("network", ["again", "again", "again", "stop"]),
        ("dependency_down", ["again", "again", "again", "stop"]),
        *[(kind, ["stop"]) for kind in ("permission", "image", "configuration", "application", "cancelled", "gone",
                                        "unknown")],
    ],
)  # fmt: skip
def test_the_contracts_table(kind: str, followed: list[str]) -> None:
    policy = Policy(ladder=Ladder(machine_types=("n2-standard-2",), regions=("europe-west4",)))
    if kind == "stock_out":
        policy = Policy(ladder=Ladder(machine_types=("n2-standard-2", "c3-standard-4")))
    assert actions(follow([kind] * 9, policy, spec())) == followed


def test_a_preempted_job_is_tried_on_spot_once_more_then_on_standard() -> None:
    again, climb, last, stop = follow(["preempted"] * 4, Policy(), spec())
    assert [d.rung.provisioning for d in (again, climb, last) if d.rung] == ["spot", "standard", "standard"]
    assert again.why == (
        "preempted (1 of 3): again at batch (us-central1, spot, e2-standard-2, 2Gi), in 10 s; "
        "Airflow's retries stay unused"
    )
    assert stop.why == "preempted: its budget of 3 is spent; Airflow's own retries follow"


def test_a_template_may_ask_for_one_more_try_with_twice_the_time() -> None:
    policy = Policy(timed_out=Retry(budget=1, same_rung=0))
    more, stop = follow(["timed_out"] * 2, policy, spec())
    assert more.rung is not None
    assert more.rung.timeout == 7200
    assert stop.action is Action.STOP


def test_each_class_has_its_own_budget_and_sizes_stay_with_the_job_when_it_moves() -> None:
    found = follow(["out_of_memory", "stock_out", "network", "out_of_memory"], Policy(), spec())
    assert actions(found) == ["climb", "climb", "again", "climb"]
    rungs = [d.rung for d in found if d.rung]
    assert [(r.memory, r.provisioning) for r in rungs] == [
        ("4Gi", "spot"), ("4Gi", "standard"), ("4Gi", "standard"), ("8Gi", "standard"),
    ]  # fmt: skip
    assert rungs[-1].machine_type == "e2-standard-4"


def test_permanent_failures_end_it_whatever_their_class() -> None:
    history = History.begin(spec(), "batch", Policy())
    decision = decide(failure("network", permanent=True), history, Policy(), spec())
    assert decision.action is Action.STOP
    assert "neither we nor Airflow's retries" in decision.why


def test_a_place_that_a_breaker_keeps_closed_is_left_at_once_and_a_dependency_is_given_its_rest() -> None:
    job, policy = spec(), Policy(ladder=Ladder(machine_types=("n2-standard-2",)))
    blocked = lambda rung: rung.machine_type == "e2-standard-2"  # noqa: E731
    history = History.begin(job, "batch", policy, blocked)
    assert history.here.machine_type == "n2-standard-2"
    started = History.begin(job, "batch", policy)
    decision = decide(failure("preempted"), started, policy, job, blocked=blocked)
    assert decision.action is Action.CLIMB
    rested = decide(failure("dependency_down"), started, policy, job, rest_s=300.0)
    assert rested.delay_s == 300.0


def test_only_the_failed_tasks_of_an_array_are_run_again_where_the_container_can() -> None:
    job = spec(task_count=10, parallelism=4)
    assert follow(["host_lost"], Policy(), job, failed_tasks=[2])[0].tasks == ()
    policy = Policy(array="failed")
    history = History.begin(job, "batch", policy)
    once = decide(failure("host_lost"), history, policy, job, failed_tasks=[7, 2, 5])
    assert once.tasks == (2, 5, 7)
    assert "only its 3 failed tasks" in once.why
    history = history.after(failure("host_lost"), once)
    assert history.changes(job) == {"env": {TASK_INDICES: "2,5,7"}, "task_count": 3, "parallelism": 3}
    twice = decide(failure("network"), history, policy, job, failed_tasks=[1])
    assert history.after(failure("network"), twice).changes(job)["env"] == {TASK_INDICES: "5"}
    lost = decide(failure("network"), history, policy, job, failed_tasks=[])
    assert lost.tasks == ()
    assert history.after(failure("network"), lost).tasks == (2, 5, 7)


WANT = "VM in Managed Instance Group meets error: Batch Error: code - CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED"


@pytest.mark.parametrize(
    ("state", "message", "waited", "kind"),
    [
        ("QUEUED", WANT, 601, "stock_out"),
        ("SCHEDULED", "Quota 'CPUS' exceeded. Limit: 8 in region r.", 601, "quota"),
        ("QUEUED", WANT, 599, None),
        ("QUEUED", "", 9999, None),
        ("QUEUED", "PERMISSION_DENIED", 9999, None),
        ("CANCELLED", WANT, 9999, None),
    ],
)
def test_a_job_queued_for_want_of_machines_is_decided_about_after_a_while(
    state: str, message: str, waited: int, kind: str | None
) -> None:
    """Batch would leave it queued for two days."""
    now = datetime(2026, 5, 4, tzinfo=UTC)
    ref = JobRef("batch", "p", "us-central1", "j")
    status = JobStatus(ref, JobState(state), message=message, created=now - timedelta(seconds=waited))
    found = stuck(status, Policy(), now)
    assert (found.kind if found else None) == kind
    if found:
        assert decide(found, History.begin(spec(), "batch", Policy()), Policy(), spec()).rung


def test_the_history_survives_a_deferral_and_later_releases() -> None:
    policy = Policy()
    history = History.begin(spec(), "batch", policy)
    for kind in ("preempted", "out_of_memory"):
        decision = decide(failure(kind), history, policy, spec())
        history = history.after(failure(kind), decision, "projects/p/locations/r/jobs/j")
    value = json.loads(json.dumps(history.to_dict()))
    assert History.from_dict(value) == history
    value["past"][0]["new"], value["here"]["new"], value["new"] = 1, 2, 3
    assert History.from_dict(value) == history


KINDS = st.lists(st.sampled_from(FailureClass), max_size=40)
RULES = st.builds(
    Retry, budget=st.integers(0, 6), same_rung=st.none() | st.integers(0, 3), first_delay=st.integers(1, 60),
    longest_delay=st.integers(60, 900),
)  # fmt: skip
LADDERS = st.builds(
    Ladder,
    machine_types=st.lists(st.sampled_from(["n2-standard-2", "c3-highcpu-4", "a2-highgpu-1g"]), unique=True).map(tuple),
    regions=st.lists(st.sampled_from(["europe-west4", "us-east1", "us-central1"]), unique=True).map(tuple),
    other_backend=st.booleans(),
)  # fmt: skip
POLICIES = st.builds(
    Policy, preempted=RULES, host_lost=RULES, out_of_memory=RULES, timed_out=RULES, stock_out=RULES, quota=RULES,
    network=RULES, dependency_down=RULES, ladder=LADDERS,
)  # fmt: skip


@settings(deadline=None)
@given(
    KINDS, POLICIES, st.sampled_from(["batch", "cloud_run"]), st.sampled_from(["spot", "standard"]),
    st.floats(0, 1), st.floats(0, 5000), st.sets(st.sampled_from(["europe-west4", "us-central1"])),
)  # fmt: skip
def test_budgets_hold_delays_are_bounded_and_no_rung_is_climbed_to_twice(
    kinds: list[FailureClass], policy: Policy, backend: str, provisioning: str,
    share: float, rest_s: float, shut: set[str],
) -> None:  # fmt: skip
    job = spec(provisioning=provisioning, machine_type="e2-standard-2" if backend == "batch" else None)
    history = History.begin(job, backend, policy, lambda rung: rung.region in shut)
    rungs: list[Rung] = [history.here]
    for kind in kinds:
        decision = decide(
            failure(kind), history, policy, job,
            jitter=lambda: share, blocked=lambda rung: rung.region in shut, rest_s=rest_s,
        )  # fmt: skip
        assert decision.why
        if decision.action is Action.STOP:
            assert decision.rung is None
            continue
        rule = policy.of(kind)
        assert rule is not None
        assert decision.rung is not None
        assert 0 < decision.delay_s <= rule.longest_delay
        if decision.action is Action.CLIMB:
            assert decision.rung not in rungs
            rungs.append(decision.rung)
        else:
            assert decision.rung == history.here
        history = history.after(failure(kind), decision)
        assert history.count(kind) <= rule.budget
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
