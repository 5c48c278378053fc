"""The emulator as a program: how it starts, says so, remembers, and stops."""

import json
import os
import signal
import socket
import subprocess
import sys

import grpc
import psutil
import pytest
from google.cloud import run_v2
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from gcp_emulator import process

PARENT = "projects/local-project/locations/europe-west1"


def command(*options):
    return [sys.executable, "-m", "gcp_emulator", *options]


def run(*options):
    env = os.environ | {"PYTHONPATH": str(process.INCLUDE), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command(*options), env=env, capture_output=True, text=True, timeout=60)


def client(cls, ready):
    return cls(transport=cls.get_transport_class("grpc")(channel=grpc.insecure_channel(ready["grpc"])))


def test_help_explains_every_option():
    shown = run("--help").stdout
    for option in (
        "--host", "--grpc-port", "--rest-port", "--state", "--images", "--env-cache", "--ready-file", "--project",
        "--batch-delay", "--parent",
    ):  # fmt: skip
        assert option in shown


def test_it_says_when_it_is_ready_and_what_to_export(tmp_path):
    log, ready_file = tmp_path / "log", None
    with process.start(log=log, project="mine") as ready:
        lines = log.read_text().splitlines()
        assert lines[0] == f"gcp_emulator ready: grpc={ready['grpc']} rest={ready['rest']}"
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines[1:])
        assert exports == ready["env"]
        assert exports["GCP_EMULATOR_URL"] == ready["rest"]
        hosts = {
            "BATCH_EMULATOR_HOST",
            "CLOUD_RUN_EMULATOR_HOST",
            "SECRET_MANAGER_EMULATOR_HOST",
            "LOGGING_EMULATOR_HOST",
            "MONITORING_EMULATOR_HOST",
        }
        assert {exports[name] for name in hosts} == {ready["grpc"]}
        assert {exports["BIGQUERY_EMULATOR_HOST"], exports["STORAGE_EMULATOR_HOST"]} == {ready["rest"]}
        assert ready["grpc"].startswith("127.0.0.1:")
        assert psutil.pid_exists(ready["pid"])
    assert ready_file is None


@pytest.mark.parametrize("flag", ["--grpc-port", "--rest-port"])
def test_a_taken_port_names_the_option(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"--grpc-port": "--rest-port", "--rest-port": "--grpc-port"}[flag]
        ended = run(flag, str(port), other, "0")
    assert ended.returncode == 2
    assert flag in ended.stderr
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_state_that_cannot_be_written_names_the_option(tmp_path):
    (tmp_path / "file").write_text("")
    ended = run("--state", str(tmp_path / "file"), "--grpc-port", "0", "--rest-port", "0")
    assert ended.returncode == 2
    assert "--state" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_state_in_use_is_refused(tmp_path):
    with process.start(state=tmp_path / "state"):
        ended = run("--state", str(tmp_path / "state"), "--grpc-port", "0", "--rest-port", "0")
    assert ended.returncode == 2
    assert "another emulator uses" in ended.stderr


def test_a_failed_start_shows_the_emulators_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(process.StartFailed, match="--state"), process.start(state=tmp_path / "file"):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_all_that_it_started(tmp_path, images, number):
    ready_file = tmp_path / "ready.json"
    env = os.environ | {"PYTHONPATH": str(process.INCLUDE)}
    options = [
        "--grpc-port",
        "0",
        "--rest-port",
        "0",
        "--images",
        str(images),
        "--ready-file",
        str(ready_file),
    ]
    with subprocess.Popen(command(*options), env=env, stdout=subprocess.DEVNULL) as started:
        while not ready_file.exists():
            assert started.poll() is None
        ready = json.loads(ready_file.read_text())
        jobs = client(run_v2.JobsClient, ready)
        container = {"image": "x/worker", "args": [f"write={tmp_path}/started", "sleep=60"]}
        job = run_v2.Job(template={"template": {"containers": [container]}})
        name = jobs.create_job(parent=PARENT, job_id="long", job=job).result(30).name
        jobs.run_job(name=name)
        while not (tmp_path / "started").exists():
            pass
        children = psutil.Process(started.pid).children(recursive=True)
        assert children
        started.send_signal(number)
        assert started.wait(30) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not ready_file.exists()


STARTER = """
import sys, time
from gcp_emulator import process
with process.start() as ready:
    print(ready["pid"], flush=True)
    time.sleep(60)
"""


def test_it_ends_with_whoever_started_it_even_by_force_and_leaves_no_folder(tmp_path):
    """Test runs that are killed must not fill the machine with emulators."""
    env = os.environ | {"PYTHONPATH": str(process.INCLUDE), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", STARTER], env=env, stdout=subprocess.PIPE) as starter:
        emulator = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    psutil.wait_procs([emulator], timeout=30)
    assert not emulator.is_running() or emulator.status() == psutil.STATUS_ZOMBIE
    assert not list(tmp_path.iterdir())


def test_jobs_executions_and_secrets_outlive_a_restart(tmp_path, images):
    options = {"state": tmp_path / "state", "images": images}
    with process.start(**options) as ready:
        jobs, secrets = client(run_v2.JobsClient, ready), client(SecretManagerServiceClient, ready)
        job = run_v2.Job(template={"template": {"containers": [{"image": "x/worker", "args": ["say=hi"]}]}})
        job = jobs.create_job(parent=PARENT, job_id="kept", job=job).result(30)
        operation = jobs.run_job(name=job.name)
        execution = operation.result(30)
        secret = secrets.create_secret(
            parent="projects/local-project", secret_id="kept", secret={"replication": {"automatic": {}}}
        )
        secrets.add_secret_version(parent=secret.name, payload={"data": b"still here"})
        job = jobs.get_job(name=job.name)
    with process.start(**options) as ready:
        jobs, secrets = client(run_v2.JobsClient, ready), client(SecretManagerServiceClient, ready)
        assert jobs.get_job(name=job.name) == job
        assert client(run_v2.ExecutionsClient, ready).get_execution(name=execution.name) == execution
        assert len(list(client(run_v2.TasksClient, ready).list_tasks(parent=execution.name))) == 1
        assert jobs.get_operation({"name": operation.operation.name}).done
        assert secrets.access_secret_version(name=f"{secret.name}/versions/1").payload.data == b"still here"
        assert jobs.run_job(name=job.name).result(30).succeeded_count == 1


def test_an_execution_that_was_cut_off_has_failed_and_says_why(tmp_path, images):
    """After a crash nobody may wait for ever for a job that is long gone."""
    options = {"state": tmp_path / "state", "images": images}
    with process.start(**options) as ready:
        jobs = client(run_v2.JobsClient, ready)
        container = {"image": "x/worker", "args": [f"write={tmp_path}/started", "sleep=60"]}
        job = run_v2.Job(template={"template": {"containers": [container]}})
        name = jobs.create_job(parent=PARENT, job_id="cut", job=job).result(30).name
        operation = jobs.run_job(name=name)
        while not (tmp_path / "started").exists():
            pass
        os.kill(ready["pid"], signal.SIGKILL)
    with process.start(**options) as ready:
        execution = client(run_v2.ExecutionsClient, ready).get_execution(name=operation.metadata.name)
        condition = execution.conditions[0]
        assert condition.state == run_v2.Condition.State.CONDITION_FAILED
        assert "The emulator stopped while this execution ran" in condition.message
        assert (execution.running_count, execution.failed_count) == (0, 1)
        (task,) = client(run_v2.TasksClient, ready).list_tasks(parent=execution.name)
        assert task.completion_time
        answer = client(run_v2.JobsClient, ready).get_operation({"name": operation.operation.name})
        assert answer.done
        assert "Run the job again" in answer.error.message
