"""A breaker keeps jobs from what keeps failing, and lets one through after a while; its memory is the ledger's rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_jobs.breaker import Breakers, Outcome, State, look
from gcp_jobs.ladder import Rung
from gcp_jobs.policy import BreakerLimits

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LIMITS = BreakerLimits(failures=3, window=900, pause=300)


def ago(seconds: float) -> datetime:
    """That long before now."""
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("history", "state", "rest"),
    [
        ([], State.CLOSED, 0),
        ([(30, True), (20, True)], State.CLOSED, 0),
        ([(30, True), (20, True), (10, True)], State.OPEN, 290),
        ([(10, True), (30, True), (20, True)], State.OPEN, 290),
        ([(30, True), (20, False), (10, True), (5, True)], State.CLOSED, 0),
        ([(330, True), (320, True), (310, True)], State.HALF_OPEN, 0),
        ([(330, True), (320, True), (310, True), (5, True)], State.OPEN, 295),
        ([(330, True), (320, True), (310, True), (5, False)], State.CLOSED, 0),
        ([(930, True), (920, True), (10, True)], State.CLOSED, 0),
    ],
)
def test_it_opens_after_failures_in_a_row_and_lets_one_through_after_the_pause(
    history: list[tuple[int, bool]], state: State, rest: int
) -> None:
    found = look((Outcome(ago(s), failed) for s, failed in history), NOW, LIMITS)
    assert (found.state, found.rest_s(NOW)) == (state, rest)
    assert found.open is (state is State.OPEN)


@pytest.mark.parametrize(
    ("begun", "open_", "rest"),
    [([], False, 0), ([5], True, 295), ([600], False, 0), ([5, 2], True, 298), ([-5], False, 0)],
    ids=["none", "a probe", "before it failed", "two", "the future"],
)
def test_one_try_goes_first_to_see_and_the_others_wait_for_it(
    begun: list[int], open_: bool, rest: int
) -> None:
    """A hundred tasks that rested for the same pause must not fall upon what has just come back."""
    failures = [Outcome(ago(s), True) for s in (330, 320, 310)]
    found = look(failures, NOW, LIMITS, map(ago, begun))
    assert (found.state, found.open, found.rest_s(NOW)) == (State.HALF_OPEN, open_, rest)


def test_a_probe_is_a_run_at_the_place_or_of_a_task_that_the_name_failed_before() -> None:
    failed = [row(n, "stock_out") for n in (310, 320, 330)]
    task = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
    down = [row(n, "dependency_down", dependency="dog api", **task) for n in (310, 320, 330)]
    going = row(0, None, created_at=ago(5), **task)
    elsewhere = row(0, None, created_at=ago(5), region="europe-west1", task_id="another")
    assert not Breakers.of(failed, NOW, LIMITS, [elsewhere]).place("p", rung()).open
    assert Breakers.of(failed, NOW, LIMITS, [going]).place("p", rung()).open
    assert not Breakers.of(down, NOW, LIMITS, [elsewhere]).name("dog api").open
    assert Breakers.of(down, NOW, LIMITS, [going]).name("dog api").open


def row(seconds: float, kind: str | None, **values: Any) -> dict[str, Any]:
    """A row as the ledger gives it."""
    place = {"project": "p", "backend": "batch", "region": "us-central1", "machine_type": "e2-standard-2",
             "provisioning": "spot"}  # fmt: skip
    return {**place, "ended_at": ago(seconds), "failure_class": kind, "dependency": None, **values}


def rung(**values: Any) -> Rung:
    """The same place as `row`."""
    base = {"backend": "batch", "region": "us-central1", "provisioning": "spot", "machine_type": "e2-standard-2",
            "memory": "2Gi", "cpu": "1", "timeout": 60}  # fmt: skip
    return Rung(**(base | values))


def test_each_place_has_its_own() -> None:
    breakers = Breakers.of([row(n, "stock_out") for n in (1, 2, 3)], NOW, LIMITS)
    assert breakers.place("p", rung()).open
    assert not breakers.place("other", rung()).open
    for change in (
        {"provisioning": "standard"},
        {"machine_type": "n2-standard-2"},
        {"region": "europe-west4"},
    ):
        assert not breakers.place("p", rung(**change)).open


def test_a_job_that_fails_by_itself_says_that_the_place_works() -> None:
    rows = [row(4, "stock_out"), row(3, "stock_out"), row(2, "application"), row(1, "preempted")]
    assert not Breakers.of(rows, NOW, LIMITS).place("p", rung()).open
    assert not Breakers.of([row(n, "application") for n in (1, 2, 3)], NOW, LIMITS).place("p", rung()).open


def test_a_dependency_has_one_by_name_wherever_the_job_ran() -> None:
    rows = [row(n, "dependency_down", dependency="dog api", region=f"r{n}") for n in (1, 2, 3)]
    breakers = Breakers.of(rows, NOW, LIMITS)
    assert breakers.name("dog api").rest_s(NOW) == 299
    assert not breakers.name("other").open
    assert not breakers.place("p", rung(region="r1")).open


def test_on_cloud_run_the_region_is_the_place() -> None:
    run = {"backend": "cloud_run", "machine_type": None}
    rows = [row(n, "quota", **run, provisioning=p) for n, p in ((1, None), (2, "standard"), (3, ""))]
    breakers = Breakers.of(rows, NOW, LIMITS)
    assert breakers.place("p", rung(backend="cloud_run", provisioning="standard", machine_type=None)).open


def test_rows_that_have_not_ended_count_for_nothing() -> None:
    assert not Breakers.of([row(1, None, ended_at=None)] * 9, NOW, LIMITS).place("p", rung()).open


@settings(deadline=None)
@given(st.lists(st.builds(Outcome, st.integers(-60, 2000).map(ago), st.booleans())), st.randoms())
def test_the_order_of_rows_changes_nothing_and_an_open_one_always_ends(
    outcomes: list[Outcome], random: Any
) -> None:
    shuffled = random.sample(outcomes, len(outcomes))
    found = look(outcomes, NOW, LIMITS)
    assert found == look(shuffled, NOW, LIMITS)
    assert 0 <= found.rest_s(NOW) <= LIMITS.pause
    if found.until:
        assert not look([o for o in outcomes if o.at <= NOW], found.until, LIMITS).open
