"""What must stand before anything is imported: an Airflow home of this worker's own and nothing from around it."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INHERITED = ("AIRFLOW_", "AIRFLOW__", "GOOGLE_", "CLOUDSDK_", "GCP_", "GCE_", "DLT_", "DESTINATION__")
HOSTS = "_EMULATOR_HOST"


def _own_environment() -> None:
    for name in list(os.environ):
        if name.startswith(INHERITED) or name.endswith(HOSTS):
            del os.environ[name]
    base = ROOT / ".state" / "test"
    base.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=os.environ.get("PYTEST_XDIST_WORKER", "main") + "-", dir=base))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(home, ignore_errors=True) if os.getpid() == owner else None)
    os.environ.update(
        AIRFLOW_HOME=str(home / "airflow"),
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        NO_GCE_CHECK="true",
        DO_NOT_TRACK="1",
        HYPOTHESIS_STORAGE_DIRECTORY=str(ROOT / ".state" / "cache" / "hypothesis"),
        RUNTIME__DLTHUB_TELEMETRY="false",
    )


_own_environment()

import hypothesis  # noqa: E402 - it reads its folder from the environment

# every run tries the same examples; HYPOTHESIS_PROFILE=search looks for new ones
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.register_profile("search", max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
