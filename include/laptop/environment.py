"""The environment of the processes that the laptop commands start: nothing of Airflow or Google is inherited."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from laptop.place import ROOT, Place

PROJECT = "local-project"
REGION = "europe-west1"
STATUS_TOPIC = "gcp-jobs-states"
OURS = "GCP_JOBS_"
LOCAL = "127.0.0.1,localhost"
FOREIGN = (
    "AIRFLOW_",
    "GOOGLE_",
    "CLOUDSDK_",
    "GCP_",
    "GCE_",
    "GCLOUD_",
    "DLT_",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
)
DESTINATION = "GCP_JOBS_INGESTION_DESTINATION"
DATASETS = {"GCP_JOBS_INGESTION_DATASET": "dog_breeds_raw", "GCP_JOBS_TABLES_DATASET": "dog_breeds"}
REPORTS = f"{PROJECT}-reports"
OURS_BY_DEFAULT = DATASETS | {
    "GCP_JOBS_LOG_SETTLE_SECONDS": "0.5",  # the emulator shows a line as soon as it is written
    DESTINATION: "bigquery",
}
FOREIGN_ENDINGS = ("_EMULATOR_HOST",)
LIVE_API = "GCP_JOBS_INGESTION_API_BASE_URL"
API_KEY = "DOG_API_KEY"


def inherited() -> dict[str, str]:
    """This process's environment without what would steer Airflow, dlt or Google's clients elsewhere.

    Our own settings (GCP_JOBS_*) stay, a proxy is not asked for what runs on this machine, and the API's key is left
    out: it travels as a secret.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(OURS)
        or not (name.startswith((*FOREIGN, API_KEY)) or name.endswith(FOREIGN_ENDINGS))
    }
    return kept | {name: _with_local(kept.get(name, "")) for name in ("no_proxy", "NO_PROXY")}


def past_proxies() -> None:
    """This process asks no proxy for what runs on this machine (gRPC and urllib read the environment)."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = _with_local(os.environ.get(name, ""))


def _with_local(hosts: str) -> str:
    return f"{hosts},{LOCAL}" if hosts else LOCAL


def account(name: str) -> str:
    """The e-mail of a service account of the local project."""
    return f"{name}@{PROJECT}.iam.gserviceaccount.com"


def tools() -> dict[str, str]:
    """For the emulator and the sample API, which live in include/."""
    return inherited() | {"PYTHONPATH": str(ROOT / "include"), "PYTHONUNBUFFERED": "1"}


def airflow(place: Place, cloud: Mapping[str, str], api_base_url: str) -> dict[str, str]:
    """For every Airflow process: `cloud` holds the emulator's exports, `api_base_url` where breeds come from."""
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": PROJECT}}
    return (
        OURS_BY_DEFAULT
        | inherited()
        | dict(cloud)
        | {
            "AIRFLOW_HOME": str(place.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{place.airflow_home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(place.airflow_home / "logs"),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
            "NO_GCE_CHECK": "true",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else it asks Google itself, for a minute
            "GCP_JOBS_ENVIRONMENT": "local",
            "GCP_JOBS_PROJECT": PROJECT,
            "GCP_JOBS_REGION": REGION,
            "GCP_JOBS_REGISTRY": f"{REGION}-docker.pkg.dev/{PROJECT}/gcp-jobs",
            "GCP_JOBS_JOB_SERVICE_ACCOUNT": account("job"),
            "GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT": account("airflow"),
            "GCP_JOBS_STATUS_TOPIC": STATUS_TOPIC,
            "GCP_JOBS_DEAD_LETTER_SUBSCRIPTION": "job-events-dead-letter",
            "GCP_JOBS_TEMPLATE_FOLDERS": str(ROOT / "include" / "job_templates"),
            "GCP_JOBS_REPORTS_BUCKET": REPORTS,
            "GCP_JOBS_INGESTION_DUCKDB_PATH": str(place.duckdb),
            "GCP_JOBS_INGESTION_API_BASE_URL": api_base_url,
            "PYTHONUNBUFFERED": "1",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
    )


def live_api() -> str | None:
    """The API to load from instead of the sample, if the user named one."""
    return os.environ.get(LIVE_API) or None


def own_key() -> str | None:
    """The user's own key, which is for the live API only."""
    return os.environ.get(API_KEY) or None if live_api() else None


def api_key(place: Place) -> str:
    """The key that the ingestion sends: the user's own, else the sample API's."""
    return own_key() or sample_key_file(place).read_text()


def sample_key_file(place: Place) -> Path:
    """Where the sample API's key is, a made-up one: a command line that held it would show it to everybody."""
    file = place.state / "api-key"
    kept_secret(file)
    return file


def kept_secret(file: Path) -> str:
    """A random word, made at the first call and read from `file` (mode 0600) afterwards."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()
