"""Extra links lead to Google's console, or to the emulator where that is what runs the jobs."""

from typing import Any

import pytest

from gcp_jobs.links import (
    BatchJobLink,
    BatchLogLink,
    ExecutionLink,
    LogLink,
    ReportLink,
    report_url,
    urls,
)
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


def test_links_of_a_batch_job_lead_to_the_job_and_to_what_its_tasks_wrote() -> None:
    links = urls(JobRef("batch", "p-1", "europe-west1", "report-1", uid="report-1-abc"))
    assert links[BatchJobLink.xcom_key] == (
        "https://console.cloud.google.com/batch/jobsDetail/regions/europe-west1/jobs/report-1/details?project=p-1"
    )
    assert "report-1-abc" in links[BatchLogLink.xcom_key]
    assert "batch_task_logs" in links[BatchLogLink.xcom_key]


def test_local_links_of_a_batch_job_can_be_opened(emulator: Any) -> None:
    import urllib.request
    import uuid

    from gcp_jobs.backends.base import RunRequest
    from gcp_jobs.backends.batch import BatchBackend
    from gcp_jobs.clients import Access
    from gcp_jobs.model import JobSpec

    where = {"project": "local-project", "region": "europe-west1"}
    spec = JobSpec.model_validate({"name": "linked", "image": "busybox", "environment": "local", **where})
    ref = BatchBackend(Access()).submit(
        RunRequest(JobRef("batch", job="linked", **where), uuid.uuid4().hex, spec=spec)
    )
    for url in urls(ref).values():
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200


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


def test_a_report_opens_in_the_browser_there_and_here(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = CloudRunJobOperator(task_id="t", job_name="j", report_uri="gs://b/tables/run 1.html")
    assert (
        ReportLink().get_link(operator, ti_key=None)
        == "https://storage.cloud.google.com/b/tables/run%201.html"
    )  # type: ignore[arg-type]
    monkeypatch.setenv("GCP_EMULATOR_URL", "http://127.0.0.1:8086")
    settings.cache_clear()
    assert report_url("gs://b/tables/run 1.html") == (
        "http://127.0.0.1:8086/storage/v1/b/b/o/tables%2Frun%201.html?alt=media"
    )


def test_a_task_without_a_report_shows_no_link_to_one() -> None:
    names = [link.name for link in CloudRunJobOperator(task_id="t", job_name="j").operator_extra_links]
    assert "Report" not in names
