"""BatchJobSensor where a status topic is set: hundreds of others' jobs wait on one stream, read but twice each."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from google.cloud import batch_v1
from tests.gcp_jobs.hub.world import PROJECT, REGION, World, eventually, the_hub

from gcp_jobs.hub.counts import Count
from gcp_jobs.sensors.batch import BatchJobSensor

Set = Callable[..., None]
PRETEND = batch_v1.Runnable(container=batch_v1.Runnable.Container(image_uri="gcp-emulator/pretend"))


def submit(world: World, name: str, **labels: str) -> None:
    """Create a job that tells the topic its states and ends as soon as there is a machine."""
    job = batch_v1.Job(
        task_groups=[batch_v1.TaskGroup(task_spec=batch_v1.TaskSpec(runnables=[PRETEND]))], labels=labels
    )
    told = batch_v1.JobNotification.Message(type_="JOB_STATE_CHANGED")
    job.notifications = [batch_v1.JobNotification(pubsub_topic=world.topic, message=told)]
    world.batch.create_job(parent=f"projects/{PROJECT}/locations/{REGION}", job_id=name, job=job)


def waits(sensor: BatchJobSensor) -> Any:
    """The trigger that the sensor defers to."""
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    return deferred.value.trigger


@pytest.mark.timeout(120)
def test_five_hundred_jobs_cost_a_first_and_a_confirming_read_each_and_no_polling(world: World) -> None:
    count = 500
    names = [f"set-{n}" for n in range(count)]
    world.fault("exhaust", machine_type="*")  # no job ends before the sensor knows all of them
    for name in names:
        submit(world, name)
    sensor = BatchJobSensor(task_id="wait", job_names=names, poke_interval=0.2, deferrable=True)
    trigger = waits(sensor)
    assert world.emulator.count("GetJob") == 0

    async def scenario() -> Any:
        fires = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0)
        hub = the_hub()
        await eventually(lambda: hub.counts[Count.FIRST_READS] + hub.counts[Count.FIRST_LISTED] >= count)
        world.heal()
        return await fires

    event = asyncio.run(scenario())
    result = sensor.execute_complete({}, event.payload)
    assert result["states"] == {"SUCCEEDED": count}
    assert world.emulator.count("GetJob") <= 2 * count
    assert world.emulator.count("ListJobs") <= 10
    assert world.emulator.count("StreamingPull") == 1


def test_a_set_by_label_takes_in_what_comes_later_and_reads_no_job_that_the_list_shows_ended(
    world: World, set_: Set, until: Callable[..., Any]
) -> None:
    set_(sweep_seconds=0.5)
    submit(world, "by-label-ended", stage="first")
    name = f"projects/{PROJECT}/locations/{REGION}/jobs/by-label-ended"
    until(lambda: world.batch.get_job(name=name).status.state.name == "SUCCEEDED")
    world.fault("exhaust", machine_type="*")
    submit(world, "by-label-queued", stage="first")
    sensor = BatchJobSensor(task_id="wait", labels={"stage": "first"}, poke_interval=0.2, deferrable=True)
    trigger = waits(sensor)
    world.emulator.reset()

    async def scenario() -> Any:
        fires = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0)
        await eventually(lambda: the_hub().waiting_now == 1)
        submit(world, "by-label-late", stage="first")
        await eventually(lambda: the_hub().waiting_now == 2)
        world.heal()
        world.fault("call", code="RESOURCE_EXHAUSTED", methods=["*/ListJobs", "*/GetJob"], nth=[1, 2])
        return await fires

    event = asyncio.run(scenario())
    assert sensor.execute_complete({}, event.payload)["states"] == {"SUCCEEDED": 3}
    assert world.emulator.count("GetJob") <= 6
