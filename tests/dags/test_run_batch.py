"""bin/run-batch.sh against a real Airflow: API server, scheduler, dag-processor and triggerer."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bin" / "run-batch.sh"
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(420)]


class Airflow:
    """A whole Airflow, and the script as one of its users."""

    def __init__(self, url: str, passwords: dict[str, str], folder: Path) -> None:
        self.url, self.passwords, self.folder = url, passwords, folder

    def run_batch(
        self, *args: str, user: str = "admin", token: str = "", stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
        env |= {
            "AIRFLOW_URL": self.url, "AIRFLOW_USER": user, "AIRFLOW_PASSWORD": self.passwords.get(user, "wrong"),
            "AIRFLOW_TOKEN": token, "PYTHON": sys.executable,
        }  # fmt: skip
        return subprocess.run(
            [str(SCRIPT), *args],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def _free_ports(count: int) -> list[int]:
    import socket

    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@pytest.fixture(scope="module")
def airflow(house: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    port, worker_logs, trigger_logs = _free_ports(3)
    url, passwords = f"http://127.0.0.1:{port}", {"admin": "a-secret", "viewer": "another"}
    (folder / "passwords.json").write_text(json.dumps(passwords))
    # a home of its own: in the house's, `airflow dags test` may have stored the DAGs before, as paused ones
    env = house.env | {
        "AIRFLOW_HOME": str(folder),
        "GCP_JOBS_INGESTION_DUCKDB_PATH": str(folder / "breeds.duckdb"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-this-test-only-for-this-test-only-for-this-test-64-bytes!",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
    }
    migrated = house.airflow("db", "migrate", **env)
    assert migrated.returncode == 0, migrated.stdout
    with ExitStack() as stack:
        processes = []
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            out = stack.enter_context((folder / f"{name}.log").open("wb"))
            command = [sys.executable, "-m", "airflow", name]
            processes.append(
                subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
            )
        made = Airflow(url, passwords, folder)
        try:
            _until_ready(made, processes)
            yield made
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)


def _until_ready(airflow: Airflow, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the API answers and knows the DAG."""
    end = time.monotonic() + 180
    while True:
        shown = airflow.run_batch("--show") if _answers(airflow.url) else None
        if shown and shown.returncode == 0:
            return
        alive = all(process.poll() is None for process in processes)
        logs = "".join(f"\n== {p.name}\n{p.read_text()[-2000:]}" for p in airflow.folder.glob("*.log"))
        assert alive, logs
        assert time.monotonic() < end, f"{shown}{logs}"
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v2/version", timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def test_it_submits_prints_job_and_link_and_follows_the_log_to_success(airflow: Airflow) -> None:
    ran = airflow.run_batch(
        'java_app_args=["count", "--upto", "1000"]', "--wait", "job_name_prefix=from-script"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    (job,) = [line for line in lines if line.startswith("job: ")]
    assert job.startswith("job: projects/local-project/locations/europe-west1/jobs/from-script-")
    assert any(line.startswith("link: http://127.0.0.1:") for line in lines)
    assert ran.stdout.count("168 primes") == 1
    assert lines[-1] == "state: success"
    assert [line for line in lines if "DagBag" in line or "attempt=" in line] == []


def test_nobodys_job_waits_for_the_end_of_another_ones(airflow: Airflow) -> None:
    pretend = "docker_image_uri=gcp-emulator/pretend"
    assert airflow.run_batch("--run-id", "long", pretend, 'java_app_args=["seconds=3600"]').returncode == 0
    ran = airflow.run_batch("--wait", pretend, 'java_app_args=["say=done"]')
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_job_that_fails_is_the_verdict_with_cause_and_last_lines(airflow: Airflow) -> None:
    ran = airflow.run_batch(
        "--wait", "--params", "-", stdin='{"java_app_args": ["gather", "--parts", "/nowhere"]}'
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Job failed [application]" in ran.stdout
    assert "exit code 2" in ran.stdout


def test_unknown_and_ill_typed_fields_are_named_before_anything_starts(airflow: Airflow) -> None:
    ran = airflow.run_batch("job_prefix=x", "task_count=many")
    assert ran.returncode == 2
    assert "task_count: 'many' is no integer" in ran.stderr
    wrong = {"job_prefix": "x", "max_run_duration": "1h", "java_app_args": [1], "labels": {"A": "b"}}
    ran = airflow.run_batch("--params", "-", stdin=json.dumps(wrong))
    assert ran.returncode == 2
    for line in (
        "job_prefix: unknown field; did you mean job_name_prefix?",
        'max_run_duration: "1h" does not match',
        "java_app_args[0]: 1 is no string",
        "name 'A' in labels:",
    ):
        assert line in ran.stderr
    assert "run: " not in ran.stdout


def test_a_viewer_is_told_that_the_right_is_missing(airflow: Airflow) -> None:
    ran = airflow.run_batch(user="viewer")
    assert ran.returncode == 4
    assert "user viewer may not start the DAG batch_job" in ran.stderr


def test_a_wrong_password_is_told(airflow: Airflow) -> None:
    ran = airflow.run_batch(user="nobody")
    assert ran.returncode == 4
    assert "Airflow does not know" in ran.stderr


def test_a_wrong_token_is_told_apart_from_a_missing_right(airflow: Airflow) -> None:
    ran = airflow.run_batch(user="", token="no-token")
    assert ran.returncode == 4
    assert "Airflow does not know the token's user" in ran.stderr


def test_a_run_id_is_taken_once_and_the_second_time_says_so(airflow: Airflow) -> None:
    assert airflow.run_batch("--run-id", "once").returncode == 0
    again = airflow.run_batch("--run-id", "once")
    assert again.returncode == 1
    assert "the DAG batch_job has a run once already: give another --run-id" in again.stderr


def test_where_no_airflow_is_it_says_how_to_start_one(unused_port: int) -> None:
    ran = Airflow(f"http://127.0.0.1:{unused_port}", {}, ROOT).run_batch()
    assert ran.returncode == 3
    assert "make up" in ran.stderr


def test_the_help_tells_examples_environment_and_exit_codes() -> None:
    ran = subprocess.run([str(SCRIPT), "--help"], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0
    for part in ("--wait", "AIRFLOW_TOKEN", "exit codes:", "NAME=VALUE"):
        assert part in ran.stdout
