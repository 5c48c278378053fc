"""JobTrigger: rebuilt from its serialisation alone, fires once, never raises."""

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobSpec, JobState
from gcp_jobs.ownership import Claim
from gcp_jobs.triggers.job import JobTrigger

REF = JobRef("cloud_run", "local-project", "europe-west1", "j", "j-1")
CLAIM = Claim("d", "r", "t", 3, 1, REF.name)


@pytest.mark.parametrize(
    "trigger",
    [
        JobTrigger(REF.to_dict(), Access().to_dict()),
        JobTrigger(
            REF.to_dict(),
            Access.of("c", ["a@b", "c@d"], "rest", "europe-west1").to_dict(),
            deadline=1_700_000_000.5,
            period=2.5,
            claim=CLAIM.to_dict(),
            cursor={"newest": 17 * 10**17 + 1, "seen": {"a": 17 * 10**17}},
            follow_log=False,
            show_task=True,
            carry={"ref": REF.to_dict(), "deadline": None, "digest": "d", "show_task": True},
        ),
    ],
    ids=["least", "all"],
)
def test_a_trigger_survives_the_database_and_another_triggerer(trigger: JobTrigger) -> None:
    from airflow.sdk.serde import deserialize, serialize

    path, kwargs = trigger.serialize()
    stored = json.loads(json.dumps(serialize(kwargs)))
    assert import_string(path)(**deserialize(stored)).serialize() == (path, kwargs)


def spec(name: str) -> JobSpec:
    return JobSpec.model_validate(
        {"name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
         "image": "repo/sample-job:1", "memory": "512Mi"}
    )  # fmt: skip


def run(name: str, *args: str) -> JobRef:
    backend = CloudRunBackend(Access())
    backend.ensure(spec(name))
    return backend.submit(RunRequest(ref(spec(name)), "k", args=args))


def fire(trigger: JobTrigger) -> dict[str, Any]:
    async def first() -> Any:
        return await anext(trigger.run())

    payload: dict[str, Any] = asyncio.run(first()).payload
    return payload


def test_it_fires_when_the_run_is_over_and_carries_back_what_it_was_given(emulator: Any) -> None:
    event = fire(JobTrigger(run("fires", "ok").to_dict(), Access().to_dict(), carry={"digest": "d"}))
    assert (event["outcome"], event["carry"]) == ("ended", {"digest": "d"})
    assert event["cursor"]["newest"] > 0


def test_a_deadline_that_passed_while_no_triggerer_lived_cancels_at_once(emulator: Any) -> None:
    slow = run("overdue", "sleep", "60")
    event = fire(JobTrigger(slow.to_dict(), Access().to_dict(), deadline=time.time() - 1))
    assert event["outcome"] == "timed_out"
    assert CloudRunBackend(Access()).get(slow).state is JobState.CANCELLED


def test_a_wait_that_is_refused_becomes_an_event_not_an_exception(emulator: Any) -> None:
    event = fire(JobTrigger(REF.to_dict(), Access("nobody-made-this").to_dict()))
    assert (event["outcome"], event["permanent"]) == ("error", True)
    assert "airflow connections add nobody-made-this" in event["error"]


def test_even_a_bug_becomes_an_event(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobTrigger, "backend", lambda *_: 1 / 0)
    event = fire(JobTrigger(REF.to_dict(), Access().to_dict()))
    assert (event["outcome"], event["permanent"]) == ("error", False)
    assert "ZeroDivisionError" in event["error"]


def test_without_a_claim_a_kill_leaves_the_job_alone(emulator: Any) -> None:
    asyncio.run(JobTrigger(REF.to_dict(), Access().to_dict()).on_kill())
    assert emulator.count("CancelExecution") == 0


@pytest.mark.parametrize(("state", "cancelled"), [("failed", True), ("deferred", False)])
def test_a_kill_cancels_what_a_user_ended_and_not_what_moved(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, state: str, cancelled: bool
) -> None:
    from types import SimpleNamespace

    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates

    slow = run(f"killed-{state}", "sleep", "60")
    claim = Claim("d", "r", "t", -1, 0, slow.name)

    async def answer(_: Any, message: Any) -> Any:
        if isinstance(message, GetTaskStates):
            return SimpleNamespace(task_states={"r": {"t": state}})
        return SimpleNamespace(value=slow.name)

    supervisor = type("Supervisor", (), {"asend": answer})()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    asyncio.run(JobTrigger(slow.to_dict(), Access().to_dict(), claim=claim.to_dict()).on_kill())
    found = CloudRunBackend(Access()).get(slow).state
    assert (found is JobState.CANCELLED) is cancelled
    CloudRunBackend(Access()).cancel(slow)
