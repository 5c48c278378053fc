"""From the end of a job through the emulator's own telling of it to the trigger that waits, with nothing in between."""

import pytest
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.types import LogSink
from tests.gcp_jobs.hub.test_trigger_on_hub import Set, execution, fire
from tests.gcp_jobs.hub.world import PROJECT, World

from gcp_jobs import identity
from laptop.cloud import COMPLETED


def test_the_audit_entry_of_an_executions_end_wakes_its_wait(
    world: World, set_: Set, capfd: pytest.CaptureFixture[str]
) -> None:
    set_(list_seconds=600)
    with identity.channel(world.emulator.grpc, "deployer@test") as channel:
        sinks = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
        name = world.topic.rpartition("/")[2]
        sink = LogSink(name=name, destination=f"pubsub.googleapis.com/{world.topic}", filter=COMPLETED)
        sinks.create_sink(parent=f"projects/{PROJECT}", sink=sink)
        run = execution("told-by-sink", "sleep", "4")
        event = fire(run)
        sinks.delete_sink(sink_name=f"projects/{PROJECT}/sinks/{name}")
    assert event["outcome"] == "ended"
    assert f"Told that execution {run} has ended" in capfd.readouterr().out
    assert world.emulator.count("GetExecution") == 2, "one read first, one that confirms the event"
    assert world.emulator.count("ListExecutions") == 0
    assert world.subscriptions() == []


def test_a_batch_jobs_own_notification_wakes_its_wait(
    world: World, set_: Set, capfd: pytest.CaptureFixture[str]
) -> None:
    set_(list_seconds=600)
    run = world.submit("sleep 3")
    event = fire(run)
    assert event["outcome"] == "ended"
    assert f"Told that job {run} has ended" in capfd.readouterr().out
    assert world.emulator.count("GetJob") == 2, "one read first, one that confirms the event"
    assert world.emulator.count("ListJobs") == 0
    assert world.subscriptions() == []
