"""Following a job's log by reads of one's own: gently, and never in the job's way."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.gcp_jobs.logs.entries import REF

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.logs import LogFollower, tail
from gcp_jobs.model import JobSpec
from gcp_jobs.pace import Pace


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
    following = LogFollower(REF, Access(), lambda *_: None, clock=lambda: now[0])
    gaps = []
    for _ in range(12):
        following._rest(fresh=False)
        gaps.append(following._due - now[0])
        now[0] = following._due
    assert gaps == sorted(gaps)
    assert gaps[-1] == 20
    following._rest(fresh=True)
    assert following._due - now[0] == 2


def test_a_running_jobs_lines_arrive_while_it_runs(emulator: Any, until: Callable[..., Any]) -> None:
    backend = CloudRunBackend(Access())
    spec = JobSpec.model_validate(
        {"name": "talks", "project": "local-project", "region": "europe-west1",
         "environment": "local", "image": "repo/sample-job:1", "memory": "512Mi"}
    )  # fmt: skip
    backend.ensure(spec)
    run = backend.submit(RunRequest(ref(spec), "k", args=("lines", "40", "0.1")))
    lines: list[str] = []
    now = [0.0]
    following = LogFollower(run, Access(), lambda _, line: lines.append(line), clock=lambda: now[0])

    def arrived() -> bool:
        now[0] += 60
        following.poll()
        return "line 3" in lines

    until(arrived)
    assert not backend.get(run).terminal, "the first lines are there before the job ends"
    until(lambda: backend.get(run).terminal)
    following.finish()
    assert [line for line in lines if line.startswith("line ")] == [f"line {n}" for n in range(40)]
    assert lines[-1] == "goodbye"
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
    following.poll()
    following.finish()
    assert len(lines) == 1
    assert "The job runs on, its log cannot be read now" in lines[0]
    assert tail(REF, Access()) == []
