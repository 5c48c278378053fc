"""`make run` and `make up` for real, each in a state folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from laptop import environment
from laptop.place import ROOT
from laptop.ports import free_ports
from laptop.progress import Progress
from laptop.rest import AirflowApi, AirflowRefused

DAG = "dog_breeds_ingestion"
PORTS = ("AIRFLOW_PORT", "EMULATOR_GRPC_PORT", "EMULATOR_REST_PORT", "BREEDS_API_PORT")
pytestmark = pytest.mark.airflow


def _command(*args: str, state: Path, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "laptop", *args, "--state", str(state)],
        env=environment.inherited() | {"PYTHONPATH": str(ROOT / "include"), **extra},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.timeout(400)
def test_run_tells_what_landed_and_another_dag_runs_in_the_same_place(tmp_path: Path) -> None:
    output = _ran("run", state=tmp_path)
    execution = re.search(r"execution +(dlt-dog-breeds-ingestion-\w+): 1 of 1 tasks succeeded", output)
    assert execution, output
    assert re.search(r"landed +40 rows in dog_breeds_raw_local\.dog_breeds_resource", output), output
    assert re.search(r"run\.v2\.Jobs/RunJob +airflow@local-project\.iam\.gserviceaccount\.com +1\b", output)
    assert re.search(r"Subscriber/DeleteSubscription +airflow@\S+ +1\b", output), "a subscription was left"
    assert re.search(r"destination +BigQuery, project local-project", output), output
    record = _pasted(output)
    assert re.search(r"state +SUCCEEDED", record), record
    assert execution[1] in record

    output = _ran("run", "--dag", "batch_job", state=tmp_path)
    assert re.search(r"Batch job +projects/local-project/\S+/jobs/java-batch-job-\w+", output), output
    assert re.search(r"state +SUCCEEDED, tasks: 1", output)
    record = _pasted(output)
    assert re.search(r"job +java-batch-job-\w+", record), record


def _ran(*args: str, state: Path) -> str:
    process = _command(*args, state=state)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def _pasted(output: str) -> str:
    """What the command of the summary's line `record` prints in a user's shell."""
    (command,) = re.findall(r"^record +(.+)$", output, re.MULTILINE)
    env = environment.inherited()
    return subprocess.run(
        command, shell=True, env=env, check=True, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.timeout(150)
def test_two_runs_in_one_place_do_not_mix(tmp_path: Path) -> None:
    first = _command("run", state=tmp_path)
    try:
        Progress().wait(
            lambda: (tmp_path / "run" / "gcp_emulator.json").exists(), "the first run to start", 120
        )
        second = _command("run", state=tmp_path)
        output, _ = second.communicate()
        assert second.returncode == 1
        assert "another `make run` is at work" in output
    finally:
        first.terminate()
        first.communicate()


def test_up_names_the_ports_that_are_taken(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        others = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
        process = _command("up", state=tmp_path, **(others | {"EMULATOR_REST_PORT": port}))
        output, _ = process.communicate()
    assert process.returncode == 1
    assert f"{port} for the emulator's REST: set EMULATOR_REST_PORT" in output
    assert "AIRFLOW_PORT" not in output


def test_up_refuses_a_port_that_is_none(tmp_path: Path) -> None:
    process = _command("up", state=tmp_path, AIRFLOW_PORT="http")
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "AIRFLOW_PORT='http' is no port" in output


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], str]]:
    """A running `make up`: Airflow's address, the passwords that it printed, and the address of its breeds."""
    ports = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
    # a date that has not come since the DAG's first day: else the week's run, which is due at once, goes first
    never = {"GCP_JOBS_INGESTION_SCHEDULE": "0 0 29 2 *"}
    process = _command("up", state=tmp_path_factory.mktemp("up"), **ports, **never)
    children: list[psutil.Process] = []
    try:
        told = []
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if "ready: Airflow at" in line:
                break
        else:
            pytest.fail("".join(told))
        children = psutil.Process(process.pid).children(recursive=True)
        passwords = dict(re.findall(r"(admin|viewer) / (\S+?)[,)]", told[-1]))
        yield (
            f"http://127.0.0.1:{ports['AIRFLOW_PORT']}",
            passwords,
            f"http://127.0.0.1:{ports['BREEDS_API_PORT']}",
        )
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
        _, alive = psutil.wait_procs(children, timeout=20)
    assert process.returncode == 0
    assert not alive, f"left behind by `make up`: {alive}"


@pytest.mark.timeout(500)
def test_up_runs_the_dag_for_whoever_may_and_an_event_ends_the_wait(
    up: tuple[str, dict[str, str], str],
) -> None:
    url, passwords, breeds = up
    progress = Progress()
    with pytest.raises(AirflowRefused, match="401"):
        AirflowApi.login(url, "admin", "wrong")
    with (
        AirflowApi.login(url, "viewer", passwords["viewer"]) as viewer,
        AirflowApi.login(url, "admin", passwords["admin"]) as admin,
    ):
        progress.wait(lambda: admin.knows(DAG), "the dag-processor to find the DAG", 150)
        with pytest.raises(AirflowRefused, match="403"):
            viewer.start(DAG)
        run_id = admin.start(DAG, {"api_base_url": f"{breeds}/faults/slow-12/v1"})
        assert admin.follow(DAG, run_id, progress, timeout_s=240) == "success"
        assert admin.result(DAG, run_id, "ingest")["state"] == "SUCCEEDED"
        assert re.search(r"Told that execution \S+ has ended", admin.log(DAG, run_id, "ingest"))
