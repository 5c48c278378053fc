"""A real job's lines in the log of the task that waits for it in the triggerer."""

import asyncio
import logging
from typing import Any

import pytest
from google.cloud import batch_v1
from tests.gcp_jobs.logs.world import PROJECT, REGION, LogWorld, eventually

from gcp_jobs.clients import Access, client
from gcp_jobs.model import JobRef
from gcp_jobs.triggers.job import JobTrigger


def array_job(script: str, tasks: int) -> JobRef:
    runnable = batch_v1.Runnable(script=batch_v1.Runnable.Script(text=script))
    group = batch_v1.TaskGroup(
        task_spec=batch_v1.TaskSpec(runnables=[runnable]), task_count=tasks, parallelism=1
    )
    policy = batch_v1.LogsPolicy(destination=batch_v1.LogsPolicy.Destination.CLOUD_LOGGING)
    made = client("BatchService", Access()).create_job(
        parent=f"projects/{PROJECT}/locations/{REGION}",
        job_id="array-with-log",
        job=batch_v1.Job(task_groups=[group], logs_policy=policy),
    )
    return JobRef("batch", PROJECT, REGION, "array-with-log", uid=made.uid)


def test_an_array_jobs_lines_come_while_it_runs_and_name_their_task(world: LogWorld) -> None:
    """And the worker that resumes has nothing left to read."""
    lines: list[str] = []

    class Log(logging.Logger):
        def handle(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    class Overheard(JobTrigger):
        log: Any = Log("task")

    ref = array_job("echo begin; sleep 1; echo end", 2)

    async def scenario() -> dict[str, Any]:
        trigger = Overheard(ref.to_dict(), Access().to_dict(), period=0.5, show_task=True)
        fired = asyncio.ensure_future(anext(trigger.run()))
        await eventually(lambda: "[task 0] begin" in lines)
        assert not fired.done()
        payload: dict[str, Any] = (await fired).payload
        return payload

    event = asyncio.run(scenario())
    assert [line for line in lines if line.startswith("[task")] == [
        "[task 0] begin", "[task 0] end", "[task 1] begin", "[task 1] end",
    ]  # fmt: skip
    assert f"Job {ref} is RUNNING" in lines
    assert event["log_told"] is True
    assert world.emulator.count("TailLogEntries") == 1


def test_a_job_whose_wait_broke_leaves_its_log_to_the_worker(
    world: LogWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobTrigger, "backend", lambda *_: 1 / 0)
    cursor = {"newest": 5 * 10**9, "seen": {"a": 5 * 10**9}}

    async def scenario() -> dict[str, Any]:
        payload: dict[str, Any] = (
            await anext(JobTrigger(world.job().to_dict(), Access().to_dict(), cursor=cursor).run())
        ).payload
        return payload

    event = asyncio.run(scenario())
    assert (event["outcome"], event["log_told"]) == ("error", False)
    assert event["cursor"]["newest"] == cursor["newest"]
