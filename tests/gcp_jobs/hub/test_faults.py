"""What a user reads when a wait meets a fault: through BatchJobOperator, deferred, with a status topic set."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.attempt import Verdict, attempt
from tests.gcp_jobs.hub.world import PROJECT, REGION, World, ended, eventually, state, the_hub

from gcp_jobs.clients import Access
from gcp_jobs.errors import PermissionRefused
from gcp_jobs.hub.counts import Count
from gcp_jobs.model import JobState
from gcp_jobs.operators.batch import BatchJobOperator

Set = Callable[..., None]
GONE, CANCELLED = (
    "somebody or a retention rule deleted it: last seen ",
    "was cancelled (it is CANCELLED); it never started: ",
)


def run(world: World, script: str, act: Callable[[str], Any] | None = None, **arguments: Any) -> Verdict:
    """Run an operator, deferred; `act` is called with the job's name when the wait has read it."""
    spec = {"name": "faulty", "image": "busybox", "memory": "512Mi", "command": ["sh", "-c", script]}
    name = f"faulty-{uuid.uuid4().hex[:8]}"
    operator = BatchJobOperator(task_id="job", spec=spec, job_name=name, deferrable=True, **arguments)

    async def scenario() -> Verdict:
        running = asyncio.create_task(attempt(operator))
        while act and not await asyncio.to_thread(world.emulator.count, "GetJob"):
            await asyncio.sleep(0.05)
        if act:
            await asyncio.to_thread(act, f"projects/{PROJECT}/locations/{REGION}/jobs/{name}")
        return await running

    return asyncio.run(scenario())


def test_of_a_deleted_job_the_task_says_how_it_was_last_seen(world: World) -> None:
    verdict = run(world, "sleep 60", lambda name: world.batch.delete_job(name=name))
    assert not verdict.succeeded
    assert "[gone]" in verdict.said
    assert GONE in verdict.said


def test_a_job_that_never_leaves_the_queue_is_cancelled_and_what_it_lacked_is_said(world: World) -> None:
    world.fault("exhaust")
    verdict = run(world, "true", timeout_seconds=3)
    assert not verdict.succeeded
    assert CANCELLED in verdict.said
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in verdict.said


def test_the_result_says_under_which_name_the_job_ran_and_that_its_states_are_told(world: World) -> None:
    verdict = run(world, "true")
    assert verdict.succeeded, verdict.said
    result = verdict.result
    name = f"projects/{PROJECT}/locations/{REGION}/jobs/{result['job']}"
    assert (result["job_name"], result["notifications_configured"]) == (name, True)


def test_an_end_that_was_seen_is_the_verdict_though_the_job_is_deleted_before_it_is_read_again(
    world: World,
) -> None:
    from gcp_jobs.backends.batch import BatchBackend
    from gcp_jobs.job_run import JobRun

    ref = world.submit()
    run = JobRun(BatchBackend(Access()), Access(), logging.getLogger("t"), 1, verbose=False)
    gone = type(ref)("batch", ref.project, ref.region, "never-there", uid="u")
    assert run.read(gone, "SUCCEEDED").state is JobState.SUCCEEDED
    assert run.read(gone, "RUNNING").state is JobState.GONE
    assert run.read(gone, "GONE", "last seen RUNNING").message == "last seen RUNNING"


@pytest.mark.parametrize("method", ["CreateSubscription", "StreamingPull"])
def test_a_right_that_is_missing_is_named_with_role_resource_and_identity_even_where_lists_are_refused_too(
    world: World, set_: Set, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    set_(list_seconds=0.5)
    for pattern in (f"*Subscriber/{method}", "*BatchService/ListJobs"):
        world.fault("call", methods=[pattern], code="PERMISSION_DENIED")

    async def scenario() -> None:
        hub = the_hub()
        found = await asyncio.gather(*(ended(hub, world.submit("sleep 1")) for _ in range(3)))
        assert set(map(state, found)) == {JobState.SUCCEEDED}
        assert isinstance(hub.stream and hub.stream.trouble, PermissionRefused)

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    (first, *_) = [record.getMessage() for record in caplog.records if record.name == "waits"]
    assert "roles/pubsub.subscriber" in first
    assert (world.topic if method == "CreateSubscription" else "/subscriptions/gcp-jobs-") in first
    assert "airflow@test (Airflow's connection 'google_cloud_default') needs" in first
    assert "(Airflow's connection 'google_cloud_default') needs roles/batch.jobsViewer" in caplog.text


def test_an_end_that_is_told_while_the_first_read_is_on_its_way_back_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcp_jobs.backends.batch import BatchBackend

    read = BatchBackend.aget
    answers: list[str] = []

    async def scenario() -> None:
        hub, ref = the_hub(), world.submit("sleep 30")

        async def slow(self: BatchBackend, ref: Any) -> Any:
            status = await read(self, ref)
            if not answers:
                answers.append(status.state)
                heard = hub.counts[Count.MESSAGES]
                await asyncio.to_thread(world.cancel, ref)
                await eventually(lambda: hub.counts[Count.MESSAGES] >= heard + 2)
            return status

        monkeypatch.setattr(BatchBackend, "aget", slow)
        found = await asyncio.wait_for(ended(hub, ref), 20)
        assert state(found) is JobState.CANCELLED
        assert hub.counts[Count.WOKEN_BY_EVENT] == 1

    asyncio.run(scenario())
    assert answers[0] != JobState.CANCELLED
