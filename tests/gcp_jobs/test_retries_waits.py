"""The waits that retries need: for machines with patience, and for the time of the next attempt."""

import asyncio
import json
import logging
import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.policy import Policy
from gcp_jobs.triggers.pause import PauseTrigger
from gcp_jobs.waiting import Do, Ended, Sleep, wait

LOG = logging.getLogger(__name__)
QUEUED = JobStatus(
    JobRef("batch", "p", "europe-west1", "j", uid="u"), JobState.QUEUED, created=datetime.fromtimestamp(1000, UTC),
    message="code - CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED, description - error count is 1",
)  # fmt: skip


def sleeps(status: JobStatus, *, told: bool, patience: float | None, now: float = 1000.0) -> list[Any]:
    """What a wait sleeps from `now` on while the job stays as it is, three times at most, and how it ended then."""
    clock, found = [now], list[Any]()
    steps = wait(
        status.ref, deadline=None, period=400, log=LOG, clock=lambda: clock[0], told=told, patience=patience
    )
    answer: Any = None
    while sum(isinstance(step, float) for step in found) < 3:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            return [*found, stop.value]
        answer = status if step is Do.READ else None
        if isinstance(step, Sleep):
            found.append(step.seconds)
            clock[0] += step.seconds if math.isfinite(step.seconds) else 10**6
    return found


def test_who_sleeps_until_told_wakes_once_to_see_whether_there_are_machines() -> None:
    assert sleeps(QUEUED, told=True, patience=600) == [600, Ended(QUEUED, stuck=True)]


def test_only_what_lacks_machines_is_given_up() -> None:
    """A job may wait in the queue for other reasons, and one that runs has what it needs."""
    assert sleeps(replace(QUEUED, message=""), told=True, patience=600) == [600, 600, 600]
    running = replace(QUEUED, state=JobState.RUNNING, started=QUEUED.created)
    assert sleeps(running, told=True, patience=600) == [math.inf] * 3


def test_without_another_place_nobody_wakes() -> None:
    assert sleeps(QUEUED, told=True, patience=None) == [math.inf] * 3


def test_who_polls_looks_in_time_too() -> None:
    *slept, last = sleeps(QUEUED, told=False, patience=2)
    assert last == Ended(QUEUED, stuck=True)
    assert sum(slept) == pytest.approx(2)


def test_a_pause_survives_another_triggerer_and_fires_with_what_it_was_given() -> None:
    from airflow.sdk.serde import deserialize, serialize

    path, kwargs = PauseTrigger(time.time() + 0.2, {"deadline": None}).serialize()
    stored: Any = deserialize(json.loads(json.dumps(serialize(kwargs))))
    again = import_string(path)(**stored)
    event = asyncio.run(anext(again.run()))
    assert event.payload == {"outcome": "rested", "carry": {"deadline": None}}
    assert time.time() >= again.until


def test_a_policy_that_says_when_keeps_how_often() -> None:
    policy = Policy.model_validate({"dependency_down": {"first_delay": "1s"}})
    assert policy.dependency_down == Policy().dependency_down.model_copy(update={"first_delay": 1})
