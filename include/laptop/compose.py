"""`make compose-test`: builds the Compose stack, runs the ingestion through the REST API, takes it down."""

import json
import os
import re
import subprocess
from pathlib import Path

from laptop import environment, limits
from laptop.child import ChildFailed
from laptop.place import INGESTION as DAG
from laptop.place import ROOT, Place
from laptop.ports import free_ports
from laptop.progress import Progress
from laptop.rest import AirflowApi

BUILD_S = 1200
UP_S = 420
SLOWLY = {
    "api_base_url": "http://breeds-api:8080/faults/slow-20/v1"
}  # it ends after somebody listens for its end
TOLD = re.compile(r"Told that execution \S+ has ended")


class Stack:
    """One Compose project with names, volumes and ports of its own."""

    def __init__(self, place: Place, progress: Progress) -> None:
        airflow, grpc, rest = free_ports(3)
        self.url = f"http://127.0.0.1:{airflow}"
        self.emulator_url = f"http://127.0.0.1:{rest}"
        self._logs = place.logs
        self._progress = progress
        self._env = environment.inherited() | {
            "COMPOSE_PROJECT_NAME": f"gcp-jobs-test-{os.getpid()}",
            "TAG": "test",
            "AIRFLOW_PORT": str(airflow),
            "EMULATOR_GRPC_PORT": str(grpc),
            "EMULATOR_REST_PORT": str(rest),
            "TRIGGERER_NOFILE": str(limits.open_files()),
            "TRIGGERER_CAPACITY": limits.triggerer(limits.open_files())["AIRFLOW__TRIGGERER__CAPACITY"],
        }

    def compose(self, what: str, *args: str, timeout_s: float) -> Path:
        """Runs `docker compose args...`, output to a log file; ChildFailed when it fails."""
        log = self._logs / f"compose-{args[0]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["docker", "compose", "--ansi", "never", *args],
                env=self._env,
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
            try:
                self._progress.wait(lambda: process.poll() is not None, what, timeout_s)
            finally:
                process.kill()
                code = process.wait()
        if code != 0:
            raise ChildFailed(f"docker compose {args[0]}", log, code)
        return log

    def keep_logs(self) -> Path:
        """Writes what the services said to a file, before they are gone."""
        return self.compose("collecting logs", "logs", "--no-color", timeout_s=60)

    def inside(self, service: str, *command: str) -> str:
        """What a command prints that runs in a running service."""
        argv = ["docker", "compose", "exec", "-T", service, *command]
        return subprocess.run(
            argv, env=self._env, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout


def _engine_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False


def _ingest(stack: Stack, progress: Progress) -> None:
    password = json.loads(stack.inside("apiserver", "cat", "/keys/passwords.json"))["admin"]
    with AirflowApi.login(stack.url, "admin", password) as api:
        progress.wait(lambda: api.knows(DAG), f"the dag-processor to find {DAG}")
        run_id = api.start(DAG, SLOWLY)
        progress.say(f"{DAG} {run_id} started through the REST API")
        for each in api.runs(DAG):  # also the one that Airflow itself has started
            state = api.follow(DAG, each, progress)
            progress.say(f"{each}: {state}")
            if state != "success":
                log = api.log(DAG, each, "ingest")
                raise SystemExit(
                    f"compose-test: {each} is {state}; log of ingest:\n{log}\n{stack.keep_logs()}"
                )
        for task in api.tasks(DAG, run_id):
            progress.say(f"{task}: {json.dumps(api.result(DAG, run_id, task))}")
        told = TOLD.search(log := api.log(DAG, run_id, "ingest"))
        if told is None:
            raise SystemExit(f"compose-test: no event ended the wait; the task's log:\n{log}")
        progress.say(told[0])
        _recorded(stack, progress, api.result(DAG, run_id, "ingest")["execution"])


def _recorded(stack: Stack, progress: Progress, execution: str) -> None:
    shown = stack.inside("scheduler", "python", "-m", "gcp_jobs.ledger", "list")
    lines = [line for line in shown.splitlines() if execution in line and "SUCCEEDED" in line]
    if not lines:
        raise SystemExit(f"compose-test: the ledger does not hold {execution}:\n{shown}")
    progress.say(f"ledger: {' '.join(lines[0].split())}")


def main(state: Path) -> None:
    """Exit code 0 only when all runs succeeded, an event ended the wait, the ledger has it, and the stack is gone."""
    progress = Progress()
    if not _engine_answers():
        raise SystemExit(
            "compose-test: no Docker engine answers (`docker info` failed): "
            "start Docker, or point DOCKER_HOST at an engine"
        )
    stack = Stack(Place.of("compose-test", state), progress)
    try:
        stack.compose("building the images", "build", timeout_s=BUILD_S)
        progress.say("images built")
        stack.compose(
            "bringing the stack up", "up", "--detach", "--wait", f"--wait-timeout={UP_S}", timeout_s=UP_S + 60
        )
        progress.say(f"healthy: Airflow at {stack.url}, emulator at {stack.emulator_url}")
        _ingest(stack, progress)
    except ChildFailed as error:
        raise SystemExit(f"compose-test: {error}\nthe services' logs: {stack.keep_logs()}") from error
    finally:
        stack.compose(
            "taking the stack down", "down", "--volumes", "--remove-orphans", "--timeout=10", timeout_s=120
        )
    progress.say("compose-test: passed, the stack is gone")
