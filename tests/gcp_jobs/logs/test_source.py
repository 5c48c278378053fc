"""One source for all jobs of a process: each line once, in order, in its own job's log, whatever breaks."""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.gcp_jobs.logs.world import PROJECT, Followed, LogWorld, eventually, the_source

from gcp_jobs.clients import Access, client
from gcp_jobs.logs import Cursor, Source

Set = Callable[..., None]


async def start(*followed: Followed) -> "list[asyncio.Task[None]]":
    """Follow, and wait until the source brings entries by itself."""
    tasks = [asyncio.create_task(each.run()) for each in followed]
    await eventually(lambda: the_source().live)
    return tasks


async def over(followed: Followed, task: "asyncio.Task[None]") -> None:
    """End one."""
    followed.end.set()
    await task


def test_two_hundred_jobs_are_followed_by_one_tail_and_a_handful_of_lists(world: LogWorld, set_: Set) -> None:
    set_(log_reads_per_minute=30)

    async def scenario() -> None:
        all_of_them = [Followed(world.job(on_batch=n % 2 == 0)) for n in range(200)]
        early = {each.ref: [f"{each.ref.job} line 0"] for each in all_of_them}
        await asyncio.to_thread(world.write_all, early)
        tasks = await start(*all_of_them)
        for number in range(1, 4):
            lines = {each.ref: [f"{each.ref.job} line {number}"] for each in all_of_them}
            await asyncio.to_thread(world.write_all, lines)
        await eventually(lambda: all(len(each.said) == 4 for each in all_of_them))
        await asyncio.to_thread(
            world.write_all, {each.ref: [f"{each.ref.job} line 4"] for each in all_of_them}
        )
        for each in all_of_them:
            each.end.set()
        await asyncio.gather(*tasks)
        for each in all_of_them:
            assert each.said == [f"{each.ref.job} line {number}" for number in range(5)]

    asyncio.run(scenario())
    assert world.emulator.count("TailLogEntries") == 1
    assert world.emulator.count("ListLogEntries") <= 8


def test_lines_are_written_as_by_the_task_that_follows_and_by_no_other(world: LogWorld) -> None:
    task_of = contextvars.ContextVar("task_of", default="nobody")
    said: list[tuple[str, str]] = []

    class Named(Followed):
        async def run(self) -> None:
            task_of.set(self.ref.job)
            emit: Callable[[int, str], None] = lambda _, line: said.append((task_of.get(), line))  # noqa: E731
            async with the_source().following(self.ref, emit, Cursor()) as following:
                await self.end.wait()
                await following.finish()

    async def scenario() -> None:
        one, two = Named(world.job()), Named(world.job())
        tasks = await start(one, two)
        await world.awrite(two.ref, two.ref.job)
        await world.awrite(one.ref, one.ref.job)
        await eventually(lambda: len(said) == 2)
        await asyncio.gather(over(one, tasks[0]), over(two, tasks[1]))
        assert {owner for owner, _ in said} == {one.ref.job, two.ref.job}
        assert all(owner == line for owner, line in said)

    asyncio.run(scenario())


def test_a_tail_that_is_cut_again_and_again_loses_and_doubles_nothing(world: LogWorld) -> None:
    async def scenario() -> None:
        followed = Followed(world.job())
        (task,) = await start(followed)
        world.fault("cut", "TailLogEntries", after_s=0.7)
        for number in range(40):
            await world.awrite(followed.ref, f"line {number}")
            await asyncio.sleep(0.05)
        world.fault("cut", "TailLogEntries")
        await over(followed, task)
        assert followed.said == [f"line {number}" for number in range(40)]

    asyncio.run(scenario())
    assert world.emulator.count("TailLogEntries") >= 3


def test_what_google_leaves_out_of_the_tail_is_brought_by_lists(world: LogWorld) -> None:
    async def scenario() -> None:
        followed = Followed(world.job())
        (task,) = await start(followed)
        await eventually(lambda: followed.following and followed.following.whole.is_set())
        world.fault("suppress", share=0.5)
        for number in range(20):
            await world.awrite(followed.ref, f"line {number}")
        await over(followed, task)
        assert sorted(followed.said, key=lambda line: int(line[5:])) == [f"line {n}" for n in range(20)]

    asyncio.run(scenario())


def test_a_tail_that_has_died_without_a_word_costs_no_line(
    world: LogWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall may drop an idle connection, and neither side hears of it."""
    ends: list[Source] = []
    monkeypatch.setattr(Source, "_ended", lambda source: ends.append(source))

    async def scenario() -> None:
        followed = Followed(world.job())
        (task,) = await start(followed)
        await eventually(lambda: followed.following and followed.following.whole.is_set())
        world.fault("call", "TailLogEntries", code="UNAVAILABLE")
        world.fault("cut", "TailLogEntries")
        await eventually(lambda: ends)
        await world.awrite(followed.ref, "line")
        await over(followed, task)
        assert followed.said == ["line"]

    asyncio.run(scenario())


def test_a_cursor_goes_on_where_another_process_stopped(world: LogWorld) -> None:
    ref = world.job()

    async def scenario(cursor: Cursor, numbers: range) -> Followed:
        followed = Followed(ref, cursor)
        (task,) = await start(followed)
        for number in numbers:
            await world.awrite(ref, f"line {number}")
        await over(followed, task)
        return followed

    first = asyncio.run(scenario(Cursor(), range(3)))
    world.write(ref, ["line 3"])
    second = asyncio.run(scenario(Cursor.from_dict(first.cursor.to_dict()), range(4, 6)))
    assert first.said + second.said == [f"line {number}" for number in range(6)]


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "RESOURCE_EXHAUSTED"])
def test_a_refused_tail_is_warned_of_once_and_lists_bring_the_lines(
    world: LogWorld, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.fault("call", "TailLogEntries", code=code)

    async def scenario() -> None:
        followed = Followed(world.job())
        task = asyncio.create_task(followed.run())
        await world.awrite(followed.ref, "line 0")
        await eventually(lambda: followed.said)
        await eventually(lambda: world.emulator.count("TailLogEntries") >= 3)
        await world.awrite(followed.ref, "line 1")
        await over(followed, task)
        assert followed.said == ["line 0", "line 1"]

    asyncio.run(scenario())
    (warning,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    said = warning.getMessage()
    assert "come by lists now" in said
    assert ("logging.logEntries.list" in said) is (code == "PERMISSION_DENIED")
    assert ("GCP_JOBS_LOGS_BY=sink" in said) is (code == "RESOURCE_EXHAUSTED")


def test_without_a_tail_thousands_of_lines_of_many_jobs_cost_few_reads(world: LogWorld, set_: Set) -> None:
    set_(logs_by="lists")

    async def scenario() -> None:
        all_of_them = [Followed(world.job()) for _ in range(50)]
        tasks = [asyncio.create_task(each.run()) for each in all_of_them]
        for number in range(3):
            some = {each.ref: [f"line {10 * number + n}" for n in range(10)] for each in all_of_them}
            await asyncio.to_thread(world.write_all, some)
            await eventually(
                partial(lambda wanted: all(len(e.said) == wanted for e in all_of_them), 10 * number + 10)
            )
        for each in all_of_them:
            each.end.set()
        await asyncio.gather(*tasks)
        for each in all_of_them:
            assert each.said == [f"line {number}" for number in range(30)]

    asyncio.run(scenario())
    assert world.emulator.count("TailLogEntries") == 0
    assert world.emulator.count("ListLogEntries") <= 40


def test_a_log_longer_than_a_looks_pages_comes_whole(
    world: LogWorld, set_: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_(logs_by="lists")
    monkeypatch.setattr("gcp_jobs.logs.reads.PAGE", 7)
    ref = world.job()
    world.write(ref, [f"line {number}" for number in range(100)])

    async def scenario() -> None:
        followed = Followed(ref)
        await followed.finished()
        assert followed.said == [f"line {number}" for number in range(100)]

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "RESOURCE_EXHAUSTED"])
def test_a_log_that_nobody_may_read_holds_no_job_up_and_says_so(
    world: LogWorld, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcp_jobs.logs.following.LAST_S", 1.0)
    world.fault("call", "*", code=code)

    async def scenario() -> None:
        followed = Followed(world.job())
        async with asyncio.timeout(20):
            await followed.finished()
        (said,) = followed.said
        assert "The whole log: http" in said
        assert ("roles/logging.viewer" in said) is (code == "PERMISSION_DENIED")

    asyncio.run(scenario())


def test_lines_go_on_live_while_the_quota_of_lists_is_spent(world: LogWorld) -> None:
    world.fault("quota", "ListLogEntries", per_minute=0)

    async def scenario() -> None:
        followed = Followed(world.job())
        await start(followed)
        await world.awrite(followed.ref, "live")
        await eventually(lambda: "live" in followed.said)

    asyncio.run(scenario())


def test_a_flood_of_one_job_is_cut_and_the_others_lines_come(world: LogWorld, set_: Set) -> None:
    set_(log_lines_per_job=50)

    async def scenario() -> None:
        flood, quiet = Followed(world.job()), Followed(world.job())
        tasks = await start(flood, quiet)
        for number in range(10):
            await world.awrite(flood.ref, *(f"line {100 * number + n}" for n in range(100)))
            await world.awrite(quiet.ref, f"line {number}")
        await asyncio.gather(over(flood, tasks[0]), over(quiet, tasks[1]))
        assert quiet.said == [f"line {number}" for number in range(10)]
        assert flood.said[:50] == [f"line {number}" for number in range(50)]
        assert [line.partition(" All: ")[0] for line in flood.said[50:]] == [
            "More than 50 lines at once: cut from here on.", "950 lines or more were cut here.",
        ]  # fmt: skip

    asyncio.run(scenario())


def test_a_log_sinks_topic_needs_neither_tail_nor_repeated_lists(world: LogWorld, set_: Set) -> None:
    from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
    from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
    from google.cloud.logging_v2.types import LogSink

    from gcp_jobs.identity import channel
    from gcp_jobs.logs.filters import of_project

    set_(logs_by="sink", log_topic="jobs-log-lines")
    topic = f"projects/{PROJECT}/topics/jobs-log-lines"
    client("Publisher", Access()).create_topic(name=topic)
    config = ConfigServiceV2Client(
        transport=ConfigServiceV2GrpcTransport(channel=channel(world.emulator.grpc, "a@test"))
    )
    destination = f"pubsub.googleapis.com/{topic}"
    sink = LogSink(name="jobs", destination=destination, filter=of_project(PROJECT))
    config.create_sink(parent=f"projects/{PROJECT}", sink=sink)

    async def scenario() -> None:
        batch, run = Followed(world.job()), Followed(world.job(on_batch=False), show_task=True)
        tasks = await start(batch, run)
        client("Publisher", Access()).publish(topic=topic, messages=[{"data": b"no entry"}])
        for number in range(10):
            await world.awrite(batch.ref, f"line {number}")
            await world.awrite(run.ref, f"line {number}", task=number)
        await eventually(lambda: len(batch.said) == 10)
        await asyncio.gather(over(batch, tasks[0]), over(run, tasks[1]))
        assert batch.said == [f"line {number}" for number in range(10)]
        assert run.said == [f"[task {number}] line {number}" for number in range(10)]

    asyncio.run(scenario())
    config.delete_sink(sink_name=f"projects/{PROJECT}/sinks/jobs")
    assert world.emulator.count("TailLogEntries") == 0
    assert world.emulator.count("ListLogEntries") <= 8


def test_a_source_ends_a_while_after_its_last_job_and_begins_again(
    world: LogWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcp_jobs.logs.source.LINGER_S", 0.1)

    async def scenario() -> Any:
        for number in (1, 2):
            followed = Followed(world.job())
            (task,) = await start(followed)
            await world.awrite(followed.ref, "line")
            await over(followed, task)
            assert followed.said == ["line"]
            await eventually(lambda: not the_source()._works.running)
            assert world.emulator.count("TailLogEntries") == number

    asyncio.run(scenario())
