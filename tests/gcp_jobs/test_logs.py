"""Following a job's log: in order, nothing lost or doubled, gently."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.logs import LATE_NS, LONGEST_LINE, Cursor, LogFollower, level, log_filter, tail, text
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.pace import Pace

REF = JobRef("cloud_run", "p", "europe-west1", "j", "j-1")
START = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


def entry(key: str, seconds: float = 0, line: str | None = None, severity: int = 200) -> Any:
    return SimpleNamespace(
        insert_id=key, timestamp=START + timedelta(seconds=seconds), text_payload=line or f"line {key}",
        json_payload=None, severity=severity, labels={},
    )  # fmt: skip


def follower(lines: list[str], **options: Any) -> LogFollower:
    return LogFollower(REF, Access(), lambda _, line: lines.append(line), pace=Pace(10**6), **options)


def test_entries_seen_before_are_not_shown_again_and_late_ones_are() -> None:
    lines: list[str] = []
    following = follower(lines)
    following._accept([entry("a", 1), entry("b", 2)])
    following._accept([entry("a", 1), entry("late", 1.5), entry("b", 2), entry("c", 3)])
    assert lines == ["line a", "line b", "line late", "line c"]


def test_the_cursor_hands_over_to_the_next_follower_without_a_gap_or_a_double() -> None:
    first: list[str] = []
    one = follower(first)
    one._accept([entry("a", 1), entry("b", 2)])
    second: list[str] = []
    two = follower(second, cursor=Cursor.from_dict(one.cursor.to_dict()))
    two._accept([entry("b", 2), entry("c", 2)])
    assert (first, second) == (["line a", "line b"], ["line c"])


def test_the_cursor_stays_small() -> None:
    lines: list[str] = []
    following = follower(lines)
    for n in range(500):
        following._accept([entry(str(n), n)])
    assert len(following.cursor.seen) <= LATE_NS / 10**9 + 1
    assert "timestamp>=" in following._request("").filter


def test_entries_without_an_id_are_told_apart_by_time_and_text() -> None:
    lines: list[str] = []
    following = follower(lines)
    for _ in range(2):
        following._accept([entry("", 1, "one"), entry("", 1, "two"), entry("", 2, "one")])
    assert lines == ["one", "two", "one"]


def test_severities_become_levels() -> None:
    assert [level(s) for s in (0, 100, 200, 300, 400, 500, 600, 800)] == [
        logging.INFO, logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL,
        logging.CRITICAL,
    ]  # fmt: skip


def test_a_structured_entry_is_one_readable_line_and_a_huge_one_is_cut() -> None:
    structured = SimpleNamespace(
        text_payload="", json_payload={"message": "loaded", "rows": 7.0, "severity": "INFO"}
    )
    assert text(structured) == "loaded rows=7"
    huge = text(SimpleNamespace(text_payload="x" * 100_000, json_payload=None))
    assert len(huge) < LONGEST_LINE + 50
    assert huge.endswith("(100000 characters)")


def test_the_filter_asks_for_one_execution_only() -> None:
    said = log_filter(REF, "2026-01-05T02:00:00Z")
    for part in ('job_name="j"', 'execution_name"="j-1"', 'location="europe-west1"', 'timestamp>="2026'):
        assert part in said


def test_looks_at_the_log_stay_within_the_quota_however_many_follow() -> None:
    now = [0.0]
    pace = Pace(30, clock=lambda: now[0])
    looks = 0
    for _ in range(600):
        now[0] += 0.1
        looks += sum(pace.take() for _ in range(100))
    assert looks <= 30 + 5


def test_a_silent_log_is_looked_at_ever_less_often() -> None:
    now = [0.0]
    following = follower([], clock=lambda: now[0])
    gaps = []
    for _ in range(12):
        following._rest(fresh=False)
        gaps.append(following._due - now[0])
        now[0] = following._due
    assert gaps == sorted(gaps)
    assert gaps[-1] == 20
    following._rest(fresh=True)
    assert following._due - now[0] == 2


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_running_jobs_lines_arrive_while_it_runs(
    emulator: Any, until: Callable[..., Any], is_async: bool
) -> None:
    backend = CloudRunBackend(Access())
    spec = JobSpec.model_validate(
        {"name": f"talks-{is_async}".lower(), "project": "local-project", "region": "europe-west1",
         "environment": "local", "image": "repo/sample-job:1", "memory": "512Mi"}
    )  # fmt: skip
    backend.ensure(spec)
    run = backend.submit(RunRequest(ref(spec), "k", args=("lines", "40", "0.1")))
    lines: list[str] = []
    following = LogFollower(run, Access(), lambda _, line: lines.append(line))

    def look() -> None:
        if is_async:
            asyncio.run(following.apoll(last=True))
        else:
            following.poll(last=True)

    until(lambda: look() or "line 3" in lines)
    assert not backend.get(run).terminal, "the first lines are there before the job ends"
    until(lambda: backend.get(run).terminal)
    until(lambda: look() or "goodbye" in lines)
    assert [line for line in lines if line.startswith("line ")] == [f"line {n}" for n in range(40)]
    assert tail(run, Access(), 3) == ["line 38", "line 39", "goodbye"]


def test_a_log_that_cannot_be_read_is_said_once_and_stops_nothing(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    from gcp_jobs import clients
    from gcp_jobs.settings import settings

    monkeypatch.setenv("LOGGING_EMULATOR_HOST", f"127.0.0.1:{unused_port}")
    settings.cache_clear()
    clients.forget()
    lines: list[str] = []
    following = LogFollower(REF, Access(), lambda _, line: lines.append(line))
    following.poll(last=True)
    following.poll(last=True)
    assert len(lines) == 1
    assert "The job runs on, its log cannot be read now" in lines[0]
    assert tail(REF, Access()) == []
