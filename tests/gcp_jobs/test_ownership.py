"""Who ended this try? Every combination that was seen on a real scheduler and triggerer, and its right answer."""

import asyncio
from typing import Any

import pytest

from gcp_jobs import ownership
from gcp_jobs.ownership import Claim, Sight, _settle, trigger_should_cancel, worker_should_cancel

CLAIM = Claim("d", "r", "t", -1, 0, "job-1")


@pytest.mark.parametrize(
    ("seen", "cancel", "why"),
    [
        (Sight("failed", "job-1", 0), True, "marked failed"),
        (Sight("success", "job-1", 0), True, "marked success"),
        (Sight("restarting", "job-1", 1), True, "cleared while it ran"),
        (Sight("running", "job-1", 0), False, "evicted: the next try attaches"),
        (
            Sight("running", "job-2", 0),
            False,
            "reset by another scheduler: try 2 runs and attached or started",
        ),
        (Sight("running", None, 0), False, "reset by another scheduler: try 2 has just begun"),
        (Sight("queued", None, 0), False, "reset by another scheduler"),
        (Sight("running", "job-2", 1), True, "cleared, and the new try is running already"),
        (Sight(None, None, 1), True, "cleared, not yet scheduled"),
        (Sight("running", None, 1), True, "cleared, and the new try has no job yet"),
        (Sight("skipped", "job-1", 0), True, "the DAG run's time was up"),
        (Sight("up_for_retry", "job-1", 0), False, "on its way to a retry that attaches"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_worker_cancels_what_a_user_ended_and_only_that(seen: Sight, cancel: bool, why: str) -> None:
    assert worker_should_cancel(CLAIM, seen) is cancel, why


@pytest.mark.parametrize(
    ("seen", "cancel", "why"),
    [
        (Sight("failed", "job-1"), True, "marked failed"),
        (Sight("success", None), True, "marked success"),
        (Sight("deferred", "job-1"), False, "moved to another triggerer"),
        (Sight("deferred", "job-2"), True, "cleared: the new try waits for its own job"),
        (Sight("running", "job-2"), True, "cleared: the new try has its own job"),
        (Sight("running", "job-1"), None, "a resume that may defer again: look again"),
        (Sight("queued", None), None, "a clear on its way: look again"),
        (Sight(None, None), None, "a clear on its way: look again"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_trigger_cancels_what_a_user_ended_and_only_that(
    seen: Sight, cancel: bool | None, why: str
) -> None:
    assert trigger_should_cancel(CLAIM, seen) is cancel, why


def settle(*sights: Sight, patience: float = 60) -> int:
    """How often a trigger cancels that sees these, one after the other (the last one stays)."""
    left, cancelled = list(sights), []

    async def look(_: Claim) -> Sight:
        return left.pop(0) if len(left) > 1 else left[0]

    async def cancel() -> None:
        cancelled.append(1)

    asyncio.run(_settle(CLAIM, cancel, look, patience))
    return len(cancelled)


def test_an_unclear_picture_is_looked_at_again_until_it_is_clear() -> None:
    assert settle(Sight("queued", "job-1"), Sight("deferred", "job-1")) == 0
    assert settle(Sight(None, None), Sight("running", "job-2")) == 1


def test_a_clear_that_never_comes_to_rest_cancels_in_the_end() -> None:
    assert settle(Sight(None, None), patience=-1) == 1


def test_no_answer_is_asked_for_again_and_is_no_reason_to_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        ConnectionError("away"),
        Sight(None, None),
        ConnectionError("away"),
        Sight("failed", "job-1"),
    ]
    cancelled: list[int] = []

    async def look(_: Claim) -> Sight:
        answer = answers.pop(0) if answers else ConnectionError("away")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel() -> None:
        cancelled.append(1)

    monkeypatch.setattr("gcp_jobs.ownership.LOOK_S", 0.01)
    asyncio.run(_settle(CLAIM, cancel, look))
    assert (answers, cancelled) == ([], [1])
    monkeypatch.setattr("gcp_jobs.ownership.UNANSWERED_S", 0.05)
    asyncio.run(_settle(CLAIM, cancel, look))
    assert cancelled == [1]


def test_a_process_asks_once_before_it_matters_and_bears_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Claim] = []

    async def look(claim: Claim) -> Sight:
        asked.append(claim)
        raise ConnectionError("away")

    async def wait_twice() -> None:
        for _ in range(2):
            ownership.acquaint(CLAIM)
        await asyncio.gather(*ownership._acquainted)

    monkeypatch.setattr(ownership, "_alook", look)
    monkeypatch.setattr(ownership, "_acquainted", [])
    asyncio.run(wait_twice())
    assert asked == [CLAIM]


def test_a_claim_survives_the_way_through_a_trigger() -> None:
    assert Claim.from_dict(CLAIM.to_dict()) == CLAIM


class Deaf:
    """A supervisor whose API is away."""

    def send(self, *_: Any) -> Any:
        raise ConnectionError("the API is away")


def test_a_worker_that_gets_no_answer_leaves_the_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time import task_runner

    from gcp_jobs.ownership import on_worker_kill

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Deaf(), raising=False)
    cancelled: list[int] = []
    on_worker_kill(CLAIM, lambda: cancelled.append(1))
    assert cancelled == []
