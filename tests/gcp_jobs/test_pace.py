"""The token bucket: never more calls than allowed, first come first served."""

from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.pace import Pace


@given(st.floats(1, 10_000), st.integers(1, 200), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_turns_come_in_order_and_never_faster_than_the_quota(
    per_minute: float, burst: int, pauses: list[float]
) -> None:
    now = [0.0]
    pace = Pace(per_minute, clock=lambda: now[0], burst=burst)
    turns = []
    for pause in pauses:
        now[0] += pause
        turns.append(now[0] + pace.turn())
    assert turns == sorted(turns)
    for first in range(len(turns)):
        for last in range(first + burst, len(turns)):
            calls = last - first + 1
            assert turns[last] - turns[first] >= (calls - burst - 1) * 60 / per_minute - 1e-6


def test_a_call_that_cannot_wait_is_paid_back_by_those_that_can() -> None:
    pace = Pace(60, clock=lambda: 0.0, burst=1)
    assert pace.turn() == 0.0
    assert pace.take(borrow=True)
    assert not pace.take()
    assert pace.turn() == 2.0


def test_a_turn_that_is_given_back_lets_later_ones_come_sooner() -> None:
    pace = Pace(60, clock=lambda: 0.0, burst=1)
    assert [pace.turn() for _ in range(3)] == [0.0, 1.0, 2.0]
    assert pace.queue == 2.0
    pace.give_back()
    assert pace.turn() == 2.0
