"""The Compose stack as `make compose-test` runs it: a project, volumes and ports of its own."""

import itertools
import os
import re
import subprocess
from pathlib import Path

from laptop import environment, limits
from laptop.child import ChildFailed
from laptop.place import ROOT, Place
from laptop.ports import free_ports
from laptop.progress import Progress


def blamed(error: str, logs: str) -> str:
    """Of all services' `logs` the last lines of each that Compose's `error` names; "" where it names none."""
    names = sorted(set(re.findall(r"Container \S+-test-\d+-(\S+-\d+)  Error", error)))
    lines = logs.replace("\x1b[2K", "").splitlines()  # Compose clears the line even with --ansi=never
    said = [[line for line in lines if line.startswith(f"{name} ")][-20:] for name in names]
    return "\n".join(itertools.chain(*said))


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
            environment.DESTINATION: "bigquery",
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
        """What a command prints that runs in a running service; ChildFailed with what it said when it fails."""
        argv = ["docker", "compose", "exec", "-T", service, *command]
        done = subprocess.run(argv, env=self._env, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            log = self._logs / f"{service}-{command[0]}.log"
            log.write_text(done.stdout + done.stderr)
            raise ChildFailed(f"{' '.join(command)} in {service}", log, done.returncode)
        return done.stdout
