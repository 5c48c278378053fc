"""Settings: a wrong value stops at the door and says name, value and what is allowed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gcp_jobs.errors import SettingsError
from gcp_jobs.settings import Settings, settings, variable

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("GCP_JOBS_ENVIRONMENT", "production", "'local', 'dev', 'stg' or 'prod'"),
        ("GCP_JOBS_REGION", "Belgium", "pattern"),
        ("GCP_JOBS_INGESTION_TIMEZONE", "Mars/Olympus", "IANA time zone"),
        ("GCP_JOBS_INGESTION_SCHEDULE", "every monday", "cron expression"),
        ("GCP_JOBS_RECONCILE_SCHEDULE", "hourly", "cron expression"),
        ("GCP_JOBS_RECONCILE_PLACES", "project/europe-west1,nowhere", "pattern"),
        ("GCP_JOBS_INGESTION_DESTINATION", "postgres", "'bigquery' or 'duckdb'"),
        ("GCP_JOBS_LOG_READS_PER_MINUTE", "0", "greater than or equal to 1"),
        ("GCP_JOBS_REGIONS", "europe-west1,nowhere", "pattern"),
        ("CLOUD_RUN_EMULATOR_HOST", "http://localhost:1", "pattern"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        settings()
    said = str(caught.value)
    assert name in said
    assert value.rpartition(",")[2] in said
    assert allowed in said


def test_every_wrong_value_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_JOBS_ENVIRONMENT", "x")
    monkeypatch.setenv("GCP_JOBS_VPC_EGRESS", "y")
    with pytest.raises(SettingsError, match=r"GCP_JOBS_ENVIRONMENT='x'.*GCP_JOBS_VPC_EGRESS='y'"):
        settings()


def test_folders_regions_and_empty_values_are_read_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GCP_JOBS_TEMPLATE_FOLDERS", f"/a{os.pathsep}/b")
    monkeypatch.setenv("GCP_JOBS_REGIONS", "europe-west1, us-central1")
    monkeypatch.setenv("GCP_JOBS_VPC_CONNECTOR", "")
    monkeypatch.setenv("GCP_EMULATOR_URL", "")
    here = settings()
    assert here.template_folders == (Path("/a"), Path("/b"))
    assert here.regions == ("europe-west1", "us-central1")
    assert (here.vpc_connector, here.gcp_emulator_url) == (None, None)


def test_only_local_and_dev_write_job_definitions() -> None:
    every = [Settings(environment=e, project="our-project-1") for e in ("local", "dev", "stg", "prod")]  # type: ignore[arg-type]
    writers = [here.environment for here in every if here.manage_jobs]
    assert writers == ["local", "dev"]


def test_the_command_lists_every_setting_with_type_default_and_meaning() -> None:
    env = os.environ | {"PYTHONPATH": str(PLUGINS)}
    ran = subprocess.run(
        [sys.executable, "-m", "gcp_jobs.settings"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for name in Settings.model_fields:
        assert f"{variable(name)}\n" in ran.stdout
    assert ran.stdout.count("default") >= len(Settings.model_fields)


@pytest.mark.parametrize("environment", ["dev", "stg", "prod"])
def test_a_laptops_project_is_not_taken_elsewhere_in_silence(
    monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    monkeypatch.setenv("GCP_JOBS_ENVIRONMENT", environment)
    with pytest.raises(SettingsError, match=r"GCP_JOBS_PROJECT='local-project'.*your Google Cloud project"):
        settings()
    monkeypatch.setenv("GCP_JOBS_PROJECT", "our-project-1")
    settings.cache_clear()
    assert settings().project == "our-project-1"


def test_production_does_not_run_on_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_JOBS_ENVIRONMENT", "prod")
    monkeypatch.setenv("GCP_JOBS_PROJECT", "our-project-1")
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", "127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"CLOUD_RUN_EMULATOR_HOST='127\.0\.0\.1:1'.*unset"):
        settings()


def _listing(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gcp_jobs.settings"],
        env={**os.environ, "PYTHONPATH": str(PLUGINS), **env},
        capture_output=True,
        text=True,
    )


def test_the_listing_shows_what_is_set_and_refuses_what_is_wrong() -> None:
    told = _listing(GCP_JOBS_INGESTION_TIMEZONE="Europe/Berlin")
    assert told.returncode == 0
    assert "default 'UTC', now 'Europe/Berlin'" in told.stdout
    wrong = _listing(GCP_JOBS_INGESTION_TIMEZONE="Nowhere")
    assert wrong.returncode == 1
    assert "GCP_JOBS_INGESTION_TIMEZONE='Nowhere'" in wrong.stderr
    strange = _listing(GCP_JOBS_PROJEKT="x")
    assert strange.returncode == 1
    assert "GCP_JOBS_PROJEKT is no setting; did you mean GCP_JOBS_PROJECT?" in strange.stderr


def test_reconcile_looks_where_it_is_told_else_at_the_settings_own_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings().places == (("local-project", "europe-west1"),)
    settings.cache_clear()
    monkeypatch.setenv("GCP_JOBS_RECONCILE_PLACES", "a-project/europe-west4, b-project/us-east1")
    monkeypatch.setenv("GCP_JOBS_RECONCILE_SCHEDULE", "")
    assert settings().places == (("a-project", "europe-west4"), ("b-project", "us-east1"))
    assert settings().reconcile_schedule is None
    settings.cache_clear()
