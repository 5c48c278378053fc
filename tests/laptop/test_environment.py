from pathlib import Path

import pytest

from laptop import environment
from laptop.place import Place


@pytest.mark.parametrize(
    "name",
    ["AIRFLOW_HOME", "AIRFLOW__CORE__EXECUTOR", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CORE_PROJECT", "PYTHONPATH",
     "DOG_API_KEY", "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"],
)  # fmt: skip
def test_a_shell_set_up_for_another_cloud_does_not_steer_ours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "elsewhere")
    assert name not in environment.inherited()


def test_what_the_machine_needs_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/some/bundle.crt")
    assert environment.inherited()["SSL_CERT_FILE"] == "/some/bundle.crt"


def test_run_and_up_share_no_database(tmp_path: Path) -> None:
    run, up = (
        environment.airflow(Place.of(name, tmp_path), {}, "http://127.0.0.1:1/v1") for name in ("run", "up")
    )
    for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "GCP_JOBS_INGESTION_DUCKDB_PATH"):
        assert run[name] != up[name]


def test_a_kept_secret_stays_and_is_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    first = environment.kept_secret(file)
    assert environment.kept_secret(file) == first
    assert len(first) >= 24
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_users_own_key_goes_to_the_live_api_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.of("run", tmp_path)
    monkeypatch.setenv("DOG_API_KEY", "own")
    monkeypatch.delenv("GCP_JOBS_INGESTION_API_BASE_URL", raising=False)
    made_up = environment.sample_key_file(place).read_text()
    assert environment.api_key(place) == made_up != "own"
    monkeypatch.setenv("GCP_JOBS_INGESTION_API_BASE_URL", "https://api.example/v1")
    assert environment.api_key(place) == "own"
    monkeypatch.delenv("DOG_API_KEY")
    assert environment.api_key(place) == made_up


def test_our_own_settings_pass_but_cannot_leave_the_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_JOBS_INGESTION_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("GCP_JOBS_ENVIRONMENT", "prod")
    env = environment.airflow(Place.of("run", tmp_path), {}, "http://127.0.0.1:1/v1")
    assert (env["GCP_JOBS_INGESTION_TIMEZONE"], env["GCP_JOBS_ENVIRONMENT"]) == ("Europe/Berlin", "local")


def test_a_proxy_is_not_asked_for_what_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "corp.example")
    assert environment.inherited()["no_proxy"] == "corp.example,127.0.0.1,localhost"
