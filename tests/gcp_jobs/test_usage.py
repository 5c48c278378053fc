"""Advice after the end, against the emulator's Cloud Monitoring and as a line."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.monitoring_v3.types import Point

from gcp_jobs import clients
from gcp_jobs.backends import usage as read
from gcp_jobs.backends.usage import usage_of
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.settings import settings
from gcp_jobs.usage import Usage, advice

GIB = 1024**3
SPEC = JobSpec(name="a", project="p", region="europe-west1", environment="local", image="i")
NOW = datetime.now(UTC)
STATUS = JobStatus(
    JobRef("cloud_run", "p", "europe-west1", "a", "a-1"), JobState.SUCCEEDED, started=NOW, ended=NOW
)


@pytest.mark.parametrize(
    ("used", "line"),
    [
        (Usage(310 * 1024**2, 0.31), "asked 2 GiB, used 310 MiB; asked 1 vCPU, used 0.3"),
        (Usage(round(1.25 * GIB), None), "asked 2 GiB, used 1.25 GiB"),
        (Usage(None, 0.004), "asked 1 vCPU, used 0.01"),
        (Usage(), ""),
    ],
)
def test_the_line_says_what_was_asked_and_what_was_used(used: Usage, line: str) -> None:
    assert advice(SPEC, used) == line


@pytest.mark.airflow
@pytest.mark.parametrize("operator", [CloudRunJobOperator, BatchJobOperator])
def test_log_and_result_say_what_the_job_used(
    emulator: Any, run_operator: Callable[..., Any], operator: Any
) -> None:
    """Whoever asked for too much would else never hear of it."""
    eats = "hoard = bytearray(b'x') * 2**26; import time; time.sleep(1)"
    job = {
        "name": f"uses-{operator.backend_name}".replace("_", "-"),
        "image": "python:3.12-slim",
        "memory": "512Mi",
    }
    ran = run_operator(
        operator,
        f"uses_{operator.backend_name}",
        spec={**job, "command": ["python", "-c", eats]},
        deferrable=False,
    )
    assert ran.state == "success", ran.log
    found = re.fullmatch(r"asked 512 MiB, used (\d+) MiB; asked 1 vCPU, used ([\d.]+)", ran.result["usage"])
    assert found, ran.result
    assert 64 <= int(found[1]) < 200
    assert float(found[2]) < 1
    assert ran.log.count(ran.result["usage"]) == 1


def test_where_nobody_tells_there_is_no_advice_and_no_wait(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A Monitoring that is down or denied must neither fail nor hold up a job that is over."""
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", f"127.0.0.1:{unused_port}")
    settings.cache_clear()
    clients.forget()
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waits for {seconds} s"))
    assert usage_of(STATUS, SPEC, Access()) == Usage()
    assert usage_of(STATUS, SPEC, Access("no_such_connection")) == Usage()
    assert usage_of(replace(STATUS, started=None), SPEC, Access()) == Usage()
    monkeypatch.delenv("MONITORING_EMULATOR_HOST")
    settings.cache_clear()
    assert usage_of(STATUS, SPEC, Access()) == Usage()


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"linear_buckets": {"num_finite_buckets": 10, "width": 0.1}}, 0.3),
        ({"exponential_buckets": {"num_finite_buckets": 10, "growth_factor": 2, "scale": 0.01}}, 0.08),
        ({"explicit_buckets": {"bounds": [0.1, 0.2, 0.5]}}, 0.5),
    ],
)
def test_the_peak_is_the_bound_of_the_highest_bucket(options: Any, bound: float) -> None:
    """Google gives histograms; an average of them would have users cut memory that they need."""
    histogram = {"count": 4, "mean": 0.1, "bucket_options": options, "bucket_counts": [0, 3, 0, 1]}
    assert read._most(Point.pb(Point(value={"distribution_value": histogram}))) == pytest.approx(bound)
