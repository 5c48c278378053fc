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


@pytest.mark.timeout(300)
def test_run_tells_what_landed_and_a_second_run_works_too(tmp_path: Path) -> None:
    for _ in range(2):
        process = _command("run", state=tmp_path)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        assert re.search(r"execution +dlt-dog-breeds-ingestion-\w+: 1 of 1 tasks succeeded", output), output
        assert re.search(r"landed +40 rows in dog_breeds_raw_local\.dog_breeds_resource", output), output
        assert re.search(
            r"run\.v2\.Jobs/RunJob +airflow@local-project\.iam\.gserviceaccount\.com +1\b", output
        )
        assert re.search(r"Subscriber/DeleteSubscription +airflow@\S+ +1\b", output), (
            "a subscription was left"
        )
        assert (tmp_path / "run" / "data" / "dog_breeds.duckdb").is_file()


@pytest.mark.timeout(60)
def test_two_runs_in_one_place_do_not_mix(tmp_path: Path) -> None:
    first = _command("run", state=tmp_path)
    try:
        Progress().wait(
            lambda: (tmp_path / "run" / "gcp_emulator.json").exists(), "the first run to start", 50
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
    process = _command("up", state=tmp_path_factory.mktemp("up"), **ports)
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


@pytest.mark.timeout(300)
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
        progress.wait(lambda: admin.knows(DAG), "the dag-processor to find the DAG", 90)
        with pytest.raises(AirflowRefused, match="403"):
            viewer.start(DAG)
        run_id = admin.start(DAG, {"api_base_url": f"{breeds}/faults/slow-8/v1"})
        assert admin.follow(DAG, run_id, progress, timeout_s=150) == "success"
        assert admin.result(DAG, run_id, "ingest")["state"] == "SUCCEEDED"
        assert re.search(r"Told that execution \S+ has ended", admin.log(DAG, run_id, "ingest"))


@pytest.mark.timeout(300)
def test_run_of_another_dag_tells_of_its_batch_job(tmp_path: Path) -> None:
    process = _command("run", "--dag", "batch_job", state=tmp_path)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert re.search(r"Batch job +projects/local-project/\S+/jobs/java-batch-job-\w+", output), output
    assert re.search(r"state +SUCCEEDED, tasks: 1", output)
