"""The wait itself, driven step by step: what ends it, what must not, and what happens at the deadline."""

import logging
from collections.abc import Generator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.errors import EmulatorUnreachable, NotFound, PermissionRefused, TransientApiError
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.waiting import Backoff, Do, Ended, Sleep, end, patiently, wait

REF = JobRef("cloud_run", "p", "europe-west1", "j", "j-1")
LOG = logging.getLogger(__name__)


def status(state: JobState) -> JobStatus:
    return JobStatus(REF, state)


class World:
    """Answers a wait's reads from a script (the last answer stays), and keeps the time that it sleeps."""

    def __init__(self, reads: Iterable[Any], cancels: Iterable[Any] = ()) -> None:
        self.now, self.reads, self.cancels = 1000.0, list(reads), list(cancels)
        self.asked: list[Do] = []
        self.slept: list[float] = []

    def run(self, steps: Generator[Any, Any, Any]) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = None
            if isinstance(step, Sleep):
                self.now += step.seconds
                self.slept.append(step.seconds)
                assert len(self.slept) < 10_000
                continue
            self.asked.append(step)
            if step is Do.READ:
                answer = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
            elif step is Do.CANCEL:
                answer = self.cancels.pop(0) if self.cancels else None

    def wait(self, deadline: float | None = None, period: float = 10) -> Ended:
        found: Ended = self.run(wait(REF, deadline=deadline, period=period, log=LOG, clock=lambda: self.now))
        return found


@pytest.mark.parametrize("last", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_a_wait_ends_with_a_terminal_state_and_no_sooner(last: JobState) -> None:
    world = World([status(JobState.QUEUED), status(JobState.RUNNING), status(JobState.CANCELLATION_IN_PROGRESS),
                   status(JobState.DELETION_IN_PROGRESS), status(last)])  # fmt: skip
    assert world.wait() == Ended(status(last))
    assert Do.CANCEL not in world.asked


@pytest.mark.parametrize("fault", [TransientApiError("503"), EmulatorUnreachable("gone")])
def test_passing_faults_never_end_a_wait_and_are_met_with_growing_patience(fault: Exception) -> None:
    world = World([status(JobState.RUNNING), *[fault] * 12, status(JobState.SUCCEEDED)])
    assert world.wait().status == status(JobState.SUCCEEDED)
    faulty = world.slept[1:13]
    assert max(faulty) <= 60 * 1.2
    assert faulty[6] > faulty[0] * 3


def test_a_refusal_that_stays_ends_the_wait_at_once() -> None:
    with pytest.raises(PermissionRefused):
        World([PermissionRefused("403")]).wait()


def test_a_run_that_vanishes_after_it_was_seen_is_gone_with_its_last_known_state() -> None:
    ended = World([status(JobState.RUNNING), NotFound("404")]).wait()
    assert ended.status is not None
    assert (ended.status.state, ended.status.message) == (JobState.GONE, "last seen RUNNING")


def test_one_not_found_between_good_reads_is_forgiven() -> None:
    world = World([NotFound("404"), status(JobState.RUNNING), NotFound("404"), status(JobState.SUCCEEDED)])
    assert world.wait().status == status(JobState.SUCCEEDED)


def test_at_the_deadline_the_run_is_cancelled_and_its_end_confirmed() -> None:
    world = World(
        [status(JobState.RUNNING)] * 4
        + [status(JobState.CANCELLATION_IN_PROGRESS), status(JobState.CANCELLED)]
    )
    ended = world.wait(deadline=1003)
    assert ended == Ended(status(JobState.CANCELLED), timed_out=True)
    assert world.asked.count(Do.CANCEL) == 1


def test_a_run_that_succeeds_in_its_last_moment_is_a_success_whatever_the_clock_says() -> None:
    assert World([status(JobState.SUCCEEDED)]).wait(deadline=0) == Ended(status(JobState.SUCCEEDED))


def test_a_cancel_is_asked_for_again_until_the_call_gets_through() -> None:
    world = World([status(JobState.RUNNING), status(JobState.RUNNING), status(JobState.CANCELLED)],
                  cancels=[TransientApiError("503"), TransientApiError("503"), None])  # fmt: skip
    assert world.run(end(REF, log=LOG, clock=lambda: world.now)) == status(JobState.CANCELLED)
    assert world.asked.count(Do.CANCEL) == 3


def test_an_end_that_nobody_confirms_is_given_up_and_said_so() -> None:
    world = World([status(JobState.RUNNING)])
    assert world.run(end(REF, log=LOG, clock=lambda: world.now, patience=30)) is None
    assert 25 < world.now - 1000 < 45


def test_polls_start_fast_and_settle_at_the_period() -> None:
    world = World([status(JobState.RUNNING)] * 30 + [status(JobState.SUCCEEDED)])
    world.wait(period=10)
    assert world.slept[0] < 1.3
    assert all(8 <= seconds <= 12 for seconds in world.slept[10:])


@given(st.floats(0.1, 5), st.floats(5, 100), st.floats(0, 1))
def test_backoff_is_bounded_and_never_shrinks_before_a_reset(first: float, most: float, luck: float) -> None:
    pace = Backoff(first, most, jitter=lambda: luck)
    delays = [pace.take() for _ in range(40)]
    assert all(0 < delay <= most * 1.2001 for delay in delays)
    assert delays == sorted(delays)
    pace.reset()
    assert pace.take() == delays[0]


def test_patience_ends_and_gives_the_last_error() -> None:
    now = [0.0]
    with pytest.raises(TransientApiError, match="still 503"):
        patiently(
            _raise, patience=60, log=LOG, sleep=lambda s: now.__setitem__(0, now[0] + s), clock=lambda: now[0]
        )
    assert now[0] > 60


def _raise() -> None:
    raise TransientApiError("still 503")
