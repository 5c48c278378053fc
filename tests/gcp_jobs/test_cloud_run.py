"""The Cloud Run backend against a running emulator, through Google's own clients."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gcp_jobs.backends.base import Change, RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.backends.cloud_run_messages import ref
from gcp_jobs.clients import Access
from gcp_jobs.errors import ConfigurationRefused, ConnectionMissing, EmulatorUnreachable, NotFound
from gcp_jobs.model import JobSpec, JobState


def spec(name: str, **changes: Any) -> JobSpec:
    base = {
        "name": name, "project": "local-project", "region": "europe-west1", "environment": "local",
        "image": "repo/sample-job:1", "memory": "512Mi", "args": ["ok"],
    }  # fmt: skip
    return JobSpec.model_validate(base | changes)


def test_a_job_is_written_once_and_again_only_when_its_spec_changes(emulator: Any) -> None:
    backend, job = CloudRunBackend(Access()), spec("write-once", env={"A": "1"})
    assert backend.ensure(job) is Change.CREATED
    assert backend.ensure(job) is Change.NONE
    changed = job.model_copy(update={"memory": "1Gi"})
    assert backend.drift(changed) == ["memory: wanted '1Gi', found '512Mi'"]
    assert backend.ensure(changed) is Change.UPDATED
    assert backend.drift(changed) == []
    assert (emulator.count("CreateJob"), emulator.count("UpdateJob")) == (1, 1)


def test_a_run_is_submitted_read_listed_and_succeeds(emulator: Any, until: Callable[..., Any]) -> None:
    backend, job = CloudRunBackend(Access()), spec("run-me")
    backend.ensure(job)
    run = backend.submit(RunRequest(ref(job), "key-1", args=("ok",)))
    status = until(lambda: (s := backend.get(run)).terminal and s)
    assert (status.state, status.counts.succeeded, status.run_key) == (JobState.SUCCEEDED, 1, "key-1")
    assert status.duration_s is not None
    assert [s.ref for s in backend.list(ref(job))] == [run]
    assert backend.exit_info(status).code == 0
    assert {caller for (_, caller) in emulator.calls()} == {"airflow@test"}


def test_the_async_form_reads_and_cancels(emulator: Any, until: Callable[..., Any]) -> None:
    backend, job = CloudRunBackend(Access()), spec("cancel-me")
    backend.ensure(job)
    run = backend.submit(RunRequest(ref(job), "key-2", args=("sleep", "60")))

    async def cancel() -> JobState:
        await backend.acancel(run)
        return (await backend.aget(run)).state

    assert asyncio.run(cancel()) in (JobState.CANCELLATION_IN_PROGRESS, JobState.CANCELLED)
    until(lambda: backend.get(run).state is JobState.CANCELLED)
    backend.cancel(run)


def test_an_impersonated_account_is_who_calls(emulator: Any) -> None:
    CloudRunBackend(Access.of("google_cloud_default", ["first@p", "last@p"])).ensure(spec("impersonated"))
    assert {caller for (_, caller) in emulator.calls()} == {"last@p"}


def test_the_rest_transport_works_too(emulator: Any) -> None:
    backend, job = CloudRunBackend(Access.of("google_cloud_default", transport="rest")), spec("over-rest")
    assert backend.ensure(job) is Change.CREATED
    assert {caller for (_, caller) in emulator.calls()} == {"airflow@test"}


def test_an_unknown_job_says_where_it_was_looked_for(emulator: Any) -> None:
    with pytest.raises(NotFound, match="europe-west1/jobs/nobody"):
        CloudRunBackend(Access()).submit(RunRequest(ref(spec("nobody")), "k"))


def test_what_google_refuses_is_a_configuration_error(emulator: Any) -> None:
    wrong = spec("bad-one", volumes=[{"name": "v", "path": "/a", "memory": "1Gi"}], args=[])
    backend = CloudRunBackend(Access())
    with pytest.raises(ConfigurationRefused):
        backend.ensure(wrong.model_copy(update={"name": "UPPER"}))


def test_a_missing_connection_says_how_to_make_it(emulator: Any) -> None:
    with pytest.raises(ConnectionMissing, match="airflow connections add nowhere"):
        CloudRunBackend(Access("nowhere")).ensure(spec("any"))


def test_a_missing_connection_is_named_to_a_trigger_as_well(emulator: Any) -> None:
    with pytest.raises(ConnectionMissing, match="AIRFLOW_CONN_NOWHERE"):
        asyncio.run(CloudRunBackend(Access("nowhere")).aget(ref(spec("any"))))


def test_an_emulator_that_is_not_running_says_how_to_start_it(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    from gcp_jobs.settings import settings

    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", f"127.0.0.1:{unused_port}")
    settings.cache_clear()
    with pytest.raises(EmulatorUnreachable, match=r"make up.*python -m gcp_emulator"):
        CloudRunBackend(Access("google_cloud_default", ("x@y",))).ensure(spec("any"))
