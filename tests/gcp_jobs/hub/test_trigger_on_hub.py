"""JobTrigger where a status topic is set: both backends, alone as in `airflow dags test`, with the log still coming."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.gcp_jobs.hub.world import World, ended, eventually, state, the_hub

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.hub.counts import Count, Counts, Report
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.triggers.job import JobTrigger

Set = Callable[..., None]


def fire(run: JobRef) -> dict[str, Any]:
    async def first() -> Any:
        return await anext(JobTrigger(run.to_dict(), Access().to_dict(), deadline=None).run())

    payload: dict[str, Any] = asyncio.run(first()).payload
    return payload


def execution(name: str, *args: str) -> JobRef:
    spec = JobSpec.model_validate(
        {"name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
         "image": "repo/sample-job:1", "memory": "512Mi"}
    )  # fmt: skip
    CloudRunBackend(Access()).ensure(spec)
    return CloudRunBackend(Access()).submit(RunRequest(ref(spec), "k", args=args))


def test_alone_it_fires_for_a_batch_job_and_leaves_no_subscription(world: World) -> None:
    event = fire(world.submit("sleep 1"))
    assert event["outcome"] == "ended"
    assert world.emulator.count("StreamingPull") == 1
    assert world.emulator.count("GetJob") <= 2
    assert world.subscriptions() == []


def test_the_log_comes_while_nothing_is_read(world: World) -> None:
    run = execution("logs-on-hub", "lines", "9", "1")
    lines: list[str] = []

    class Log(logging.Logger):
        def handle(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    class Overheard(JobTrigger):
        log = Log("task")

    async def scenario() -> None:
        trigger = Overheard(run.to_dict(), Access().to_dict())
        fired = asyncio.ensure_future(anext(trigger.run()))
        await eventually(lambda: "line 1" in lines)
        assert not fired.done()
        fired.cancel()

    asyncio.run(scenario())
    assert world.emulator.count("GetExecution") == 1


def test_cloud_run_without_a_log_sink_is_waited_for_by_lists(world: World, set_: Set) -> None:
    set_(list_seconds=0.5)
    assert fire(execution("no-sink", "sleep", "2"))["outcome"] == "ended"


def test_cloud_run_with_a_log_sink_is_told_and_no_more_listed(world: World, set_: Set) -> None:
    set_(list_seconds=0.2)
    run = execution("with-sink", "sleep", "3")
    entry = {"protoPayload": {"response": {"metadata": {"name": run.run}, "status": {
        "conditions": [{"type": "Completed", "status": "True"}]}}}}  # fmt: skip
    other = json.loads(json.dumps(entry).replace(run.run, "somebody-else"))

    async def scenario() -> None:
        hub = the_hub()
        fired = asyncio.ensure_future(anext(JobTrigger(run.to_dict(), Access().to_dict()).run()))
        await eventually(lambda: hub.stream and hub.stream.open)
        await asyncio.to_thread(world.publish, json.dumps(other).encode())
        await eventually(lambda: hub.counts[Count.UNCLAIMED] == 1)
        sweeps = hub.counts[Count.SWEEPS]
        client = CloudRunBackend(Access())
        while not (await client.aget(run)).terminal:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(world.publish, json.dumps(entry).encode())
        assert (await fired).payload["outcome"] == "ended"
        assert hub.counts[Count.WOKEN_BY_EVENT] == 1
        assert hub.counts[Count.SWEEPS] <= sweeps + 1

    asyncio.run(scenario())


def test_a_batch_job_that_tells_our_topic_nothing_is_waited_for_by_lists(world: World, set_: Set) -> None:
    set_(list_seconds=0.5)

    async def scenario() -> None:
        hub = the_hub()
        silent, telling = world.submit("sleep 2", notify=False), world.submit("sleep 2")
        found = await asyncio.gather(ended(hub, silent), ended(hub, telling))
        assert set(map(state, found)) == {"SUCCEEDED"}
        assert hub.counts[Count.WOKEN_BY_SWEEP] == 1
        assert hub.counts[Count.WOKEN_BY_EVENT] == 1

    asyncio.run(scenario())


def test_counts_become_airflow_metrics_once_each_and_a_line_when_there_is_news(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk.observability import stats

    sent: dict[str, float] = {}

    class Backend:
        def incr(self, stat: str, count: int = 1, *_: Any, **__: Any) -> None:
            sent[stat] = sent.get(stat, 0) + count

        def gauge(self, stat: str, value: float, *_: Any, **__: Any) -> None:
            sent[stat] = value

    monkeypatch.setattr("airflow.sdk._shared.observability.metrics.stats._backend", Backend())
    assert stats
    counts = Counts({Count.MESSAGES: 3})
    report = Report("t", counts)
    with caplog.at_level(logging.INFO):
        report.tell(7, listening=True)
        report.tell(7, listening=True)
        counts[Count.MESSAGES] += 2
        report.tell(6, listening=False)
    assert sent == {
        "gcp_jobs.hub.waiters": 6, "gcp_jobs.hub.listening": 0, "gcp_jobs.hub.messages": 5,
    }  # fmt: skip
    assert [r.getMessage().split(" messages=")[1].split()[0] for r in caplog.records] == ["3", "5"]
