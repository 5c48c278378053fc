"""What Airflow itself makes of plugins/ and of the installed wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND = """
import json, sys
from airflow import plugins_manager
from airflow.sdk.module_loading import import_string
plugins, errors = plugins_manager._get_plugins()
found = [p for p in plugins if p.name == "gcp_jobs"]
trigger = import_string("gcp_jobs.triggers.job.JobTrigger")
operator = import_string("gcp_jobs.operators.cloud_run.CloudRunJobOperator")
print(json.dumps({
    "plugins": len(found),
    "errors": errors,
    "links": sorted(str(link.name) for link in found[0].operator_extra_links) if found else [],
    "listeners": [type(each).__name__ for each in found[0].listeners] if found else [],
    "operator": operator.__module__,
    "trigger": trigger.__module__,
    "where": sys.modules["gcp_jobs"].__file__,
    "doubles": [m for m in ("settings", "clients", "plugin", "job") if m in sys.modules],
}))
"""


def find(env: dict[str, str], python: str = sys.executable, cwd: Path = ROOT) -> Any:
    ran = subprocess.run(
        [python, "-c", FIND], env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.strip().splitlines()[-1])


def test_the_plugins_folder_loads_once_and_nothing_twice(tmp_path: Path) -> None:
    env = os.environ | {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    found = find(env)
    assert found["plugins"] == 1
    assert found["errors"] == {}
    assert found["links"] == ["Batch job", "Batch log", "Cloud Run execution", "Cloud Run log", "Report"]
    assert found["listeners"] == ["Listener"]
    assert found["doubles"] == [], "Airflow has executed package files as top-level modules"


@pytest.mark.airflow
def test_airflow_reports_no_import_errors(house: Any) -> None:
    listed = house.airflow("dags", "list-import-errors", "--output", "json")
    assert listed.returncode == 0, listed.stdout
    assert "No data found" in listed.stdout or listed.stdout.strip().endswith("[]"), listed.stdout


def test_the_wheel_brings_plugin_operator_and_trigger_without_a_plugins_folder(tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 120}
    built = subprocess.run([*uv, "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT)], **quiet)  # type: ignore[call-overload]
    assert built.returncode == 0, built.stdout
    (wheel,) = tmp_path.glob("gcp_jobs-*.whl")
    fresh = tmp_path / "venv"
    made = subprocess.run([*uv, "venv", "--python", sys.executable, str(fresh)], **quiet)  # type: ignore[call-overload]
    assert made.returncode == 0, made.stdout
    python = str(fresh / "bin" / "python")
    install = [
        *uv,
        "pip",
        "install",
        "--python",
        python,
        "--constraint",
        str(ROOT / "constraints.txt"),
        str(wheel),
    ]
    installed = subprocess.run(install, **quiet)  # type: ignore[call-overload]
    assert installed.returncode == 0, installed.stdout
    home = tmp_path / "home"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    env |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    found = find(env, python, cwd=tmp_path)
    assert found["plugins"] == 1
    assert found["errors"] == {}
    assert found["listeners"] == ["Listener"]
    assert found["operator"] == "gcp_jobs.operators.cloud_run"
    assert found["trigger"] == "gcp_jobs.triggers.job"
    assert found["where"].startswith(str(fresh))
    command = [python, "-m", "gcp_jobs.ledger", "list"]  # makes its tables by the migrations in the wheel
    listed = subprocess.run(command, env=env, cwd=tmp_path, **quiet)  # type: ignore[call-overload]
    assert listed.returncode == 0, listed.stdout
    assert listed.stdout.strip().endswith("gcp_jobs_ledger.db holds no such run"), listed.stdout
