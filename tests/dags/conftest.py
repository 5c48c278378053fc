"""Real Airflow in subprocesses, with an emulator and the dogs' API beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from breeds_api.process import served
from gcp_emulator import process

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW = [sys.executable, "-m", "airflow"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow 3.3 reads .airflowignore by a pathspec pattern that pathspec 1.x calls deprecated."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


@dataclass(frozen=True)
class House:
    """An Airflow home with everything that our DAGs need, and the environment that points at it."""

    folder: Path
    env: dict[str, str]
    emulator: str
    api: str

    def airflow(self, *command: str, timeout: float = 150, **env: str) -> subprocess.CompletedProcess[str]:
        """Run an airflow command; its output is text, both streams in one."""
        return subprocess.run(
            [*AIRFLOW, *command], env=self.env | env, cwd=self.folder, timeout=timeout, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str]]:
    """An emulator's addresses, and the dogs' API's."""
    cache, log = ROOT / ".state" / "image-environments", tmp_path_factory.mktemp("servers") / "emulator.log"
    with process.start(env_cache=cache, log=log) as cloud, served() as dogs:
        yield cloud, dogs


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, servers: tuple[dict[str, Any], str]) -> House:
    """A fresh Airflow home whose settings point at the servers."""
    cloud, dogs = servers
    folder = tmp_path_factory.mktemp("house")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "GCP_"))}
    env |= cloud["env"] | {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://",
        "GCP_JOBS_ENVIRONMENT": "local",
        "GCP_JOBS_PROJECT": "local-project",
        "GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT": "airflow@local-project.iam.gserviceaccount.com",
        "GCP_JOBS_JOB_SERVICE_ACCOUNT": "ingestion@local-project.iam.gserviceaccount.com",
        "GCP_JOBS_INGESTION_DESTINATION": "duckdb",
        "GCP_JOBS_INGESTION_DUCKDB_PATH": str(folder / "breeds.duckdb"),
        "GCP_JOBS_INGESTION_API_BASE_URL": dogs,
    }
    made = House(folder, env, cloud["rest"], dogs)
    migrated = made.airflow("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout
    _secret(cloud["grpc"], "dog-api-key", b"no-secret")
    return made


def _secret(address: str, name: str, value: bytes) -> None:
    import grpc
    from google.cloud import secretmanager
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )

    with grpc.insecure_channel(address) as channel:
        client = secretmanager.SecretManagerServiceClient(
            transport=SecretManagerServiceGrpcTransport(channel=channel)
        )
        secret = client.create_secret(
            parent="projects/local-project", secret_id=name, secret={"replication": {"automatic": {}}}
        )
        client.add_secret_version(parent=secret.name, payload={"data": value})


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
