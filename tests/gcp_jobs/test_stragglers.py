"""A task that hangs is flagged; one that is slow but talks, or has nothing to be compared with, is left in peace."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.stragglers import LEAST_S, TaskSight, stragglers

START = datetime(2026, 11, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


DONE = [TaskSight(n, START, at(100)) for n in range(3)]


def test_a_task_silent_for_twice_its_siblings_median_is_flagged_and_says_why() -> None:
    (late,) = stragglers([*DONE, TaskSight(7, START)], at(201))
    assert str(late) == (
        "task 7 is silent for 201 s, longer than 200 s (2 times the median of 3 finished tasks)"
    )
    assert not list(stragglers([*DONE, TaskSight(7, START)], at(200)))


def test_a_log_line_or_a_change_of_state_is_a_sign_of_life() -> None:
    assert not list(stragglers([*DONE, TaskSight(7, START, heard=at(900))], at(1000)))


def test_without_enough_finished_siblings_only_a_heartbeat_can_tell() -> None:
    tasks = [*DONE[:2], TaskSight(7, START)]
    assert not list(stragglers(tasks, at(10_000)))
    assert [late.index for late in stragglers(tasks, at(31), heartbeat_s=30)] == [7]


def test_short_siblings_do_not_make_a_minute_suspicious() -> None:
    quick = [TaskSight(n, START, at(1)) for n in range(3)]
    assert not list(stragglers([*quick, TaskSight(7, START)], at(LEAST_S)))
    assert list(stragglers([*quick, TaskSight(7, START)], at(LEAST_S + 1)))


TIMES = st.none() | st.floats(0, 1e6).map(at)


@given(st.lists(st.builds(TaskSight, st.integers(0, 99), TIMES, TIMES, TIMES)), st.floats(0, 1e6).map(at))
def test_only_tasks_that_run_are_flagged_and_only_past_their_limit(
    tasks: list[TaskSight], now: datetime
) -> None:
    running = {task.index for task in tasks if task.started and not task.ended}
    for late in stragglers(tasks, now):
        assert late.index in running
        assert late.silent_s > late.limit_s
