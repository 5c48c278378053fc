"""BatchBackend against the emulator: one job a run key, the truth about each, and nothing done to others' jobs."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend, read_job
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused, NotFound
from gcp_jobs.failure import FailureClass, explain
from gcp_jobs.model import ExitInfo, JobRef, JobSpec, JobState, JobStatus

BACKEND = BatchBackend(Access())
HOUR = timedelta(hours=1)


def request(script: str = "exit 0", **changes: Any) -> RunRequest:
    """A request with a run key of its own."""
    values = {
        "name": "tried", "project": "local-project", "region": "europe-west1", "environment": "local",
        "image": "busybox", "command": ["sh", "-c", script], "memory": "512Mi",
    }  # fmt: skip
    spec = JobSpec.model_validate(values | changes)
    return RunRequest(JobRef("batch", "local-project", "europe-west1", "tried"), uuid.uuid4().hex, spec=spec)


def ended(ref: JobRef, until: Callable[..., Any]) -> JobStatus:
    status: JobStatus = until(lambda: (s := BACKEND.get(ref)).terminal and s)
    return status


def test_the_same_run_key_never_makes_a_second_job(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request("sleep 5")
    first = BACKEND.submit(asked)
    again = BACKEND.submit(asked)
    assert (again, again.uid) == (first, first.uid)
    monkeypatch.setattr(
        "gcp_jobs.backends.batch._NAMESPACE", uuid.uuid4()
    )  # Google forgets request ids after a while
    late = BACKEND.submit(asked)
    assert late.uid == first.uid
    (found,) = BACKEND.runs(BACKEND.place(asked), asked.run_key, datetime.now(UTC) - HOUR)
    assert found is not None
    assert found.ref.uid == first.uid
    assert not BACKEND.runs(first, "f" * 32, datetime.now(UTC) - HOUR)
    BACKEND.cancel(first)


def test_a_status_tells_times_counts_and_the_way_to_the_end(emulator: Any, until: Callable[..., Any]) -> None:
    ref = BACKEND.submit(request(task_count=3, parallelism=3))
    status = ended(ref, until)
    assert (status.state, status.counts.total, status.counts.succeeded) == (JobState.SUCCEEDED, 3, 3)
    assert status.created is not None
    assert status.started is not None
    assert status.ended is not None
    assert status.created <= status.started <= status.ended
    assert asyncio.run(BACKEND.aget(ref)) == status


def test_the_first_failed_task_of_an_array_tells_its_exit_code(
    emulator: Any, until: Callable[..., Any]
) -> None:
    ref = BACKEND.submit(request("exit $((BATCH_TASK_INDEX * 4))", task_count=3, parallelism=3))
    status = ended(ref, until)
    assert status.state is JobState.FAILED
    info = BACKEND.exit_info(status)
    assert (info.code, info.task) == (4, 1)
    assert "exit code 4" in info.message


def test_cancelling_what_has_ended_is_no_error_and_changes_nothing(
    emulator: Any, until: Callable[..., Any]
) -> None:
    ref = BACKEND.submit(request())
    ended(ref, until)
    BACKEND.cancel(ref)
    asyncio.run(BACKEND.acancel(ref))
    assert BACKEND.get(ref).state is JobState.SUCCEEDED


def test_another_job_under_the_same_name_is_not_mistaken_for_ours(emulator: Any) -> None:
    ref = BACKEND.submit(request())
    with pytest.raises(NotFound, match="another bears its name now"):
        BACKEND.get(replace(ref, uid="somebody-elses"))


def test_lists_are_newest_first_and_end_where_they_are_told(emulator: Any) -> None:
    refs = [BACKEND.submit(request()) for _ in range(3)]
    found = [status.ref for status in BACKEND.list(JobRef("batch", "local-project", "europe-west1", "tried"))]
    assert found[:3] == refs[::-1]
    page = asyncio.run(BACKEND.alist("local-project", "europe-west1"))
    assert [status.ref for status in page.runs[:3]] == refs[::-1]
    later = datetime.now(UTC) + HOUR
    assert list(BACKEND.search("local-project", "europe-west1", since=later)) == []


@pytest.mark.parametrize(
    "job",
    [
        {"taskGroups": [{"taskSpec": {"maxRunDuration": "5s", "runnables": [{"script": {"text": "a"}}]}}]},
        {"task_groups": [{"task_spec": {"max_run_duration": "5s", "runnables": [{"script": {"text": "a"}}]}}]},
        {"task_groups": [{"task_spec": {
            "max_run_duration": timedelta(seconds=5), "runnables": [{"script": {"text": "a"}}]}}]},
        {"task_groups": [{"task_spec": {
            "max_run_duration": {"seconds": 5}, "runnables": [{"script": {"text": "a"}}]}}]},
    ],
    ids=["camel", "snake", "timedelta", "seconds"],
)  # fmt: skip
def test_a_job_may_be_written_as_in_json_or_as_googles_client_takes_it(job: dict[str, Any]) -> None:
    read = read_job(job, "here")
    spec = read.task_groups[0].task_spec
    assert spec.max_run_duration == timedelta(seconds=5)
    assert spec.runnables[0].script.text == "a"


def test_a_wrong_field_of_a_job_is_named() -> None:
    with pytest.raises(ConfigurationRefused, match="maxRunDuratoin"):
        read_job({"taskGroups": [{"taskSpec": {"maxRunDuratoin": "5s"}}]}, "here")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (50001, FailureClass.PREEMPTED), (50002, FailureClass.HOST_LOST), (50003, FailureClass.HOST_LOST),
        (50004, FailureClass.HOST_LOST), (50005, FailureClass.TIMED_OUT), (50006, FailureClass.HOST_LOST),
    ],
)  # fmt: skip
def test_reserved_exit_codes_have_classes_of_their_own(code: int, kind: FailureClass) -> None:
    status = JobStatus(JobRef("batch", "p", "r", "j"), JobState.FAILED, message="exit code")
    found = explain(status, ExitInfo(code=code), {})
    assert found.kind is kind
    assert found.todo
    assert not found.permanent


@pytest.mark.parametrize(
    ("reason", "kind", "permanent"),
    [
        ("ZONE_RESOURCE_POOL_EXHAUSTED", FailureClass.STOCK_OUT, False),
        ("CODE_GCE_QUOTA_EXCEEDED", FailureClass.QUOTA, False),
        ("CODE_GCE_INVALID_FIELD_VALUE", FailureClass.CONFIGURATION, True),
        ("constraints/compute.vmExternalIpAccess", FailureClass.CONFIGURATION, True),
    ],
)
def test_reasons_of_status_events_decide_before_exit_codes(
    reason: str, kind: FailureClass, permanent: bool
) -> None:
    status = JobStatus(JobRef("batch", "p", "r", "j"), JobState.FAILED, reason, message=f"failed: {reason}")
    found = explain(status, ExitInfo(code=1), {})
    assert (found.kind, found.permanent) == (kind, permanent)


def test_settings_that_only_cloud_run_can_follow_do_not_reach_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from gcp_jobs.settings import Settings
    from gcp_jobs.template import inline

    monkeypatch.setenv("GCP_JOBS_KMS_KEY", "projects/p/key")
    monkeypatch.setenv("GCP_JOBS_VPC_CONNECTOR", "connector")
    spec = inline({"name": "n", "image": "i"}, Settings(), backend="batch").spec
    assert (spec.kms_key, spec.network) == (None, None)
