"""Extra links lead to Google's console, or to the emulator where that is what runs the jobs."""

from typing import Any

import pytest

from gcp_jobs.links import ExecutionLink, LogLink, urls
from gcp_jobs.model import JobRef
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.settings import settings

REF = JobRef("cloud_run", "p-1", "europe-west1", "report", "report-abc")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_on_google_they_lead_to_the_console() -> None:
    links = urls(REF)
    assert links[ExecutionLink.xcom_key] == (
        "https://console.cloud.google.com/run/jobs/executions/details/europe-west1/report-abc/tasks?project=p-1"
    )
    assert "report-abc" in links[LogLink.xcom_key]
    assert links[LogLink.xcom_key].endswith("?project=p-1")


def test_locally_they_lead_to_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_EMULATOR_URL", "http://127.0.0.1:8086")
    assert all(url.startswith("http://127.0.0.1:8086/") for url in urls(REF).values())


def test_before_a_job_has_started_there_is_no_link() -> None:
    operator: Any = CloudRunJobOperator(task_id="t", job_name="report")
    assert [link.get_link(operator, ti_key=None) for link in operator.operator_extra_links] == ["", ""]


@pytest.mark.parametrize(
    ("value", "defers"), [(None, True), ("true", True), ("false", False)], ids=["unset", "true", "false"]
)
def test_deferring_is_the_default_unless_airflow_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, value: str | None, defers: bool
) -> None:
    if value is not None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", value)
    assert CloudRunJobOperator(task_id="t", job_name="j").deferrable is defers
    assert CloudRunJobOperator(task_id="t", job_name="j", deferrable=not defers).deferrable is not defers
