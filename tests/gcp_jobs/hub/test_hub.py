"""Waits on one stream: woken by events, kept by sweeps, broken by nothing that passes."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.gcp_jobs.hub.world import PROJECT, REGION, World, ended, eventually, state, the_hub

from gcp_jobs.clients import Access
from gcp_jobs.hub.counts import Count
from gcp_jobs.model import JobState

Set = Callable[..., None]


def test_an_event_wakes_the_wait_at_once_and_one_read_confirms_it(world: World) -> None:
    async def scenario() -> None:
        hub = the_hub()
        waits = asyncio.create_task(ended(hub, world.submit("sleep 1")))
        found = await waits
        assert state(found) is JobState.SUCCEEDED
        assert hub.counts[Count.WOKEN_BY_EVENT] == 1
        assert hub.counts[Count.FIRST_READS] == 1
        assert hub.counts[Count.CONFIRMING_READS] == 1

    asyncio.run(scenario())
    assert world.emulator.count("GetJob") == 2


def test_a_job_that_ended_before_anybody_listened_is_found_by_the_first_read(
    world: World, until: Callable[..., Any]
) -> None:
    ref = world.submit("exit 3")
    until(lambda: world.batch.get_job(name=ref.name).status.state.name == "FAILED")

    async def scenario() -> None:
        hub = the_hub()
        found = await ended(hub, ref)
        assert state(found) is JobState.FAILED
        assert hub.counts[Count.WOKEN_BY_FIRST_READ] == 1

    asyncio.run(scenario())


def test_the_subscription_is_this_process_own_expires_and_goes_with_a_clean_stop(world: World) -> None:
    async def scenario() -> None:
        waits = asyncio.create_task(ended(the_hub(), world.submit("sleep 30")))
        await eventually(lambda: world.subscriptions())
        (made,) = world.subscriptions()
        assert made.expiration_policy.ttl.total_seconds() == 86_400
        assert made.message_retention_duration.total_seconds() == 600
        assert made.filter == ""
        waits.cancel()

    asyncio.run(scenario())
    assert world.subscriptions() == []


def test_when_nobody_waits_any_more_the_stream_ends_after_a_while_and_a_new_wait_opens_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcp_jobs.hub.hub.LINGER_S", 0.1)

    async def scenario() -> None:
        hub = the_hub()
        await ended(hub, world.submit())
        await eventually(lambda: not world.subscriptions())
        await ended(hub, world.submit("sleep 0.5"))
        assert len(world.subscriptions()) == 1

    asyncio.run(scenario())


def test_a_lost_message_costs_time_and_not_the_task(
    world: World, set_: Set, caplog: pytest.LogCaptureFixture
) -> None:
    set_(sweep_seconds=0.5)
    world.fault("messages", drop=1.0)

    async def scenario() -> None:
        hub = the_hub()
        found = await ended(hub, world.submit("sleep 1"))
        assert state(found) is JobState.SUCCEEDED
        assert hub.counts[Count.WOKEN_BY_SWEEP] == 1

    asyncio.run(scenario())
    assert f"lacks roles/pubsub.publisher on {world.topic}" in caplog.text


def test_a_job_of_which_some_message_came_is_not_said_to_lack_a_right(
    world: World, set_: Set, caplog: pytest.LogCaptureFixture
) -> None:
    set_(sweep_seconds=0.5)

    async def scenario() -> None:
        hub, ref = the_hub(), world.submit("sleep 2")
        waits = asyncio.create_task(ended(hub, ref))
        await eventually(lambda: hub.counts[Count.MESSAGES] > 0)
        world.fault("messages", drop=1.0)
        await waits
        assert hub.counts[Count.WOKEN_BY_SWEEP] == 1

    asyncio.run(scenario())
    assert "pubsub.publisher" not in caplog.text


def test_doubled_late_and_disordered_messages_change_nothing(world: World) -> None:
    world.fault("messages", double=0.4, delay=0.2, reorder=0.4, delay_s=0.5)

    async def scenario() -> None:
        hub = the_hub()
        found = await asyncio.gather(*(ended(hub, world.submit("sleep 0.5")) for _ in range(10)))
        assert set(map(state, found)) == {JobState.SUCCEEDED}
        assert hub.counts[Count.SWEEPS] <= 1

    asyncio.run(scenario())


def test_messages_of_unknown_jobs_and_garbage_are_taken_counted_and_wake_nobody(world: World) -> None:
    async def scenario() -> None:
        hub = the_hub()
        ref = world.submit("sleep 30")
        waits = asyncio.create_task(ended(hub, ref))
        await eventually(lambda: hub.counts[Count.FIRST_READS])
        world.publish(JobUID="nobody", NewJobState="FAILED", Type="JOB_STATE_CHANGED")
        world.publish(b"\xff\xfe{[")
        world.publish(b'{"protoPayload": 7}', Region="x")
        await eventually(lambda: hub.counts[Count.GARBAGE] == 2 and hub.counts[Count.UNCLAIMED] >= 1)
        assert hub.counts[Count.CONFIRMING_READS] == 0
        world.cancel(ref)
        found = await waits
        assert state(found) is JobState.CANCELLED

    asyncio.run(scenario())


def test_an_event_that_says_too_much_is_not_believed_and_the_true_end_is_still_seen(world: World) -> None:
    async def scenario() -> None:
        hub = the_hub()
        ref = world.submit("sleep 3")
        waits = asyncio.create_task(ended(hub, ref))
        await eventually(lambda: hub.counts[Count.FIRST_READS])
        world.publish(JobUID=ref.uid, NewJobState="SUCCEEDED", Type="JOB_STATE_CHANGED")
        world.publish(JobUID=ref.uid, NewJobState="RUNNING", Type="JOB_STATE_CHANGED")
        await eventually(lambda: hub.counts[Count.CONFIRMING_READS])
        assert not waits.done()
        found = await waits
        assert state(found) is JobState.SUCCEEDED

    asyncio.run(scenario())


def test_a_job_deleted_while_waited_for_is_gone(world: World, set_: Set) -> None:
    set_(sweep_seconds=1)

    async def scenario() -> None:
        hub = the_hub()
        ref = world.submit("sleep 60")
        waits = asyncio.create_task(ended(hub, ref))
        await eventually(lambda: hub.counts[Count.FIRST_READS])
        world.delete(ref)
        found = await waits
        assert state(found) is JobState.GONE

    asyncio.run(scenario())


def test_a_deadline_passes_while_nothing_is_heard_and_the_job_is_cancelled(world: World) -> None:
    async def scenario() -> None:
        found = await ended(the_hub(), world.submit("sleep 60"), deadline=time.time() + 1)
        assert found.timed_out
        assert state(found) is JobState.CANCELLED

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_a_burst_of_refused_reads_never_ends_a_wait(world: World, code: str) -> None:
    world.fault("call", methods=["*BatchService/GetJob"], code=code, times=3)

    async def scenario() -> None:
        found = await ended(the_hub(), world.submit())
        assert state(found) is JobState.SUCCEEDED

    asyncio.run(scenario())
    assert world.emulator.count("GetJob") > 3


def test_a_stream_that_dies_again_and_again_reconnects_and_loses_nothing(world: World) -> None:
    world.fault("cut", after_s=0.3)

    async def scenario() -> None:
        hub = the_hub()
        found = await asyncio.gather(*(ended(hub, world.submit(f"sleep {n / 4}")) for n in range(8)))
        assert set(map(state, found)) == {JobState.SUCCEEDED}
        assert hub.stream
        assert hub.stream.reconnects >= 2
        assert hub.counts[Count.WOKEN_BY_SWEEP] == 0
        assert hub.listening

    asyncio.run(scenario())


def test_a_subscription_that_vanishes_is_made_again_and_what_was_missed_is_swept(world: World) -> None:
    async def scenario() -> None:
        hub = the_hub()
        refs = [world.submit("sleep 2") for _ in range(3)]
        waits = [asyncio.create_task(ended(hub, ref)) for ref in refs]
        await eventually(lambda: hub.counts[Count.FIRST_READS] == 3 and hub.stream and hub.stream.open)
        (before,) = world.subscriptions()
        api = world.subscriber
        await asyncio.to_thread(api.delete_subscription, subscription=before.name)
        found = await asyncio.gather(*waits)
        assert set(map(state, found)) == {JobState.SUCCEEDED}
        assert hub.stream
        assert hub.stream.reconnects >= 1

    asyncio.run(scenario())
    assert world.subscriptions() == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("status_topic", "projects/local-project/topics/nowhere", "gcloud pubsub topics create"),
        ("status_subscription", "nowhere-at-all", "GCP_JOBS_STATUS_SUBSCRIPTION"),
    ],
)
def test_without_topic_or_subscription_the_wait_says_so_and_lives_on_lists(
    world: World, set_: Set, caplog: pytest.LogCaptureFixture, setting: str, value: str, said: str
) -> None:
    set_(**{setting: value, "list_seconds": 0.5})

    async def scenario() -> None:
        hub = the_hub()
        found = await asyncio.gather(*(ended(hub, world.submit("sleep 2")) for _ in range(4)))
        assert set(map(state, found)) == {JobState.SUCCEEDED}
        assert hub.counts[Count.WOKEN_BY_SWEEP] + hub.counts[Count.WOKEN_BY_FIRST_READ] == 4
        assert not hub.listening

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    mine = [record for record in caplog.records if record.name == "waits"]
    assert said in mine[0].getMessage()
    assert world.emulator.count("ListJobs") >= 1


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("CreateSubscription", "pubsub.subscriptions.create"),
        ("StreamingPull", "pubsub.subscriptions.consume"),
    ],
)
def test_a_missing_right_is_named_and_lists_take_over(
    world: World, set_: Set, caplog: pytest.LogCaptureFixture, method: str, right: str
) -> None:
    set_(list_seconds=0.5)
    world.fault("call", methods=[f"*Subscriber/{method}"], code="PERMISSION_DENIED")

    async def scenario() -> None:
        found = await ended(the_hub(), world.submit("sleep 1"))
        assert state(found) is JobState.SUCCEEDED

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert right in caplog.text


def test_without_pubsub_at_all_one_list_serves_everybody(world: World, set_: Set) -> None:
    set_(wait_by="lists", list_seconds=1)

    async def scenario() -> None:
        hub = the_hub()
        found = await asyncio.gather(*(ended(hub, world.submit("sleep 2")) for _ in range(10)))
        assert set(map(state, found)) == {JobState.SUCCEEDED}

    asyncio.run(scenario())
    assert world.emulator.count("CreateSubscription") == 0
    assert world.emulator.count("GetJob") <= 12


def test_a_subscription_made_beforehand_is_used_and_left_alone(world: World, set_: Set) -> None:
    name = f"projects/{PROJECT}/subscriptions/mine-{REGION}"
    world.subscriber.create_subscription(name=name, topic=world.topic)
    set_(status_subscription=f"mine-{REGION}")

    async def scenario() -> None:
        hub = the_hub()
        await ended(hub, world.submit("sleep 1"))
        assert hub.counts[Count.WOKEN_BY_EVENT] == 1

    asyncio.run(scenario())
    assert [s.name for s in world.subscriptions()] == [name]
    assert world.emulator.count("CreateSubscription") == 1


def test_log_lines_of_a_wait_appear_in_its_own_context_whoever_made_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextvars import ContextVar

    task: ContextVar[str] = ContextVar("task", default="nobody")
    lines: list[tuple[str, str]] = []

    class Log(logging.Logger):
        def handle(self, record: logging.LogRecord) -> None:
            lines.append((task.get(), record.getMessage()))

    async def wait_as(name: str) -> None:
        task.set(name)
        await ended(
            the_hub(), world.submit("sleep 1", name=f"job-of-{name}-{world.topic[-8:]}"), log=Log("t")
        )

    async def scenario() -> None:
        await asyncio.gather(wait_as("anna"), wait_as("boris"))

    class OfTheHub(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reports.append(task.get())

    monkeypatch.setattr("gcp_jobs.hub.hub.REPORT_S", 0.3)
    reports: list[str] = []
    handler, logger = OfTheHub(), logging.getLogger("gcp_jobs.hub.counts")
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "level", logging.INFO)
    asyncio.run(scenario())
    logger.removeHandler(handler)
    assert set(reports) == {"nobody"}
    assert any("Told that" in line for _, line in lines)
    assert all(f"job-of-{name}" in line for name, line in lines)


def test_a_thousand_waits_share_one_stream_and_hardly_read(world: World, set_: Set) -> None:
    """Jobs that stay QUEUED cost no process; cancelled ones end. A few pages are most waits' first read."""
    set_(job_reads_per_minute=600)
    world.fault("exhaust")
    seen: list[str] = []

    class Log(logging.Logger):
        def handle(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    log = Log("quiet")
    refs = [world.submit(notify=False) for _ in range(1000)]

    async def scenario() -> None:
        hub = the_hub()
        waits = [asyncio.create_task(ended(hub, ref, log=log)) for ref in refs]
        await eventually(lambda: len(seen) == 1000, 60)
        before = world.emulator.count("GetJob")
        assert hub.counts[Count.FIRST_READS] == before < 700
        assert hub.counts[Count.FIRST_READS] + hub.counts[Count.FIRST_LISTED] == 1000
        await asyncio.to_thread(lambda: [world.cancel(ref) for ref in refs[:300]])
        for ref in refs[:300]:
            await asyncio.to_thread(world.publish, JobUID=ref.uid, NewJobState="CANCELLED")
        found = await asyncio.wait_for(asyncio.gather(*waits[:300]), 60)
        assert set(map(state, found)) == {JobState.CANCELLED}
        assert hub.counts[Count.WOKEN_BY_EVENT] == 300
        assert world.emulator.count("GetJob") - before <= 310
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    asyncio.run(scenario())
    assert world.emulator.count("StreamingPull") == 1
    assert world.emulator.count("CreateSubscription") == 1


def test_a_thousand_ends_at_once_are_confirmed_by_lists_not_by_a_thousand_reads(
    world: World, set_: Set
) -> None:
    """Else one array of jobs that fails together would use up the region's quota, and all would wait for it."""
    set_(job_reads_per_minute=600)
    world.fault("exhaust")
    refs = [world.submit() for _ in range(1000)]

    async def scenario() -> None:
        hub = the_hub()
        waits = [asyncio.create_task(ended(hub, ref)) for ref in refs]
        await eventually(lambda: hub.counts[Count.FIRST_READS] + hub.counts[Count.FIRST_LISTED] == 1000, 60)
        before = world.emulator.count("GetJob")
        await asyncio.to_thread(world.fault, "exhaust", fails=True)
        found = await asyncio.wait_for(asyncio.gather(*waits), 60)
        assert set(map(state, found)) == {JobState.FAILED}
        assert world.emulator.count("GetJob") - before < 800
        assert hub.counts[Count.WOKEN_BY_EVENT] > 500

    asyncio.run(scenario())


def test_two_connections_two_hubs_and_none_where_no_topic_is_set(world: World, set_: Set) -> None:
    from gcp_jobs.hub import hub_for

    async def scenario() -> None:
        assert hub_for(Access()) is hub_for(Access(endpoint_region=REGION))
        assert hub_for(Access()) is not hub_for(Access("another"))
        set_(wait_by="reads")
        assert hub_for(Access()) is None
        set_(wait_by="events", status_topic="")
        assert hub_for(Access()) is None

    asyncio.run(scenario())
