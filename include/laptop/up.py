"""`make up`: emulator, sample API and Airflow with its UI on fixed ports, until Ctrl-C."""

import json
import os
import shlex
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from honcho import manager as honcho

from laptop import environment, limits, project
from laptop.child import ChildFailed
from laptop.place import ROOT, Place
from laptop.ports import free_ports, is_free
from laptop.progress import Progress
from laptop.run import migrate

AIRFLOW = ("scheduler", "dag-processor", "api-server", "triggerer")
READY_S = 180
STOP_S = 20  # a triggerer ends its triggers in order first; honcho's own 5 s are too short for it


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a user may move: the variable that names it and its default."""

    variable: str
    default: int
    what: str

    @property
    def number(self) -> int:
        value = os.environ.get(self.variable, str(self.default))
        if not value.isdecimal() or not 0 < int(value) < 65536:
            raise SystemExit(f"up: {self.variable}={value!r} is no port: give a number from 1 to 65535")
        return int(value)


UI = Port("AIRFLOW_PORT", 8080, "Airflow's UI and API")
GRPC = Port("EMULATOR_GRPC_PORT", 8085, "the emulator's gRPC")
REST = Port("EMULATOR_REST_PORT", 8086, "the emulator's REST")
BREEDS = Port("BREEDS_API_PORT", 8087, "the sample breeds API")


def _check_ports() -> None:
    taken = [port for port in (UI, GRPC, REST, BREEDS) if not is_free(port.number)]
    if taken:
        lines = [
            f"  {port.number} for {port.what}: set {port.variable}, e.g. make up {port.variable}={port.number + 1000}"
            for port in taken
        ]
        raise SystemExit("\n".join(["up: these ports are taken:", *lines]))


def _commands(place: Place) -> dict[str, list[str]]:
    """Process name -> module and arguments."""
    kept = [f"--env-cache={place.image_environments}", f"--state={place.emulator_state}"]
    kept.append(f"--parent={os.getpid()}")
    commands = {
        "emulator": ["gcp_emulator", f"--grpc-port={GRPC.number}", f"--rest-port={REST.number}", *kept],
        **{name: ["airflow", name] for name in AIRFLOW},
    }
    if not environment.live_api():
        locked = f"--api-key-file={environment.sample_key_file(place)}"
        commands["breeds-api"] = ["breeds_api", f"--port={BREEDS.number}", locked]
    return commands


def _airflow_environment(place: Place) -> tuple[dict[str, str], dict[str, str]]:
    """The environment of Airflow's processes, and user -> password of the UI."""
    grpc = f"127.0.0.1:{GRPC.number}"
    services = ("CLOUD_RUN", "BATCH", "PUBSUB", "SECRET_MANAGER", "LOGGING")
    exports = {f"{service}_EMULATOR_HOST": grpc for service in services}
    rest = f"http://127.0.0.1:{REST.number}"
    exports |= dict.fromkeys(("GCP_EMULATOR_URL", "BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"), rest)
    passwords = place.state / "passwords.json"
    users = {name: environment.kept_secret(place.state / f"password-{name}") for name in ("admin", "viewer")}
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps(users))
    worker_logs, trigger_logs = free_ports(2)
    base = f"http://127.0.0.1:{UI.number}"
    api = environment.live_api() or f"http://127.0.0.1:{BREEDS.number}/v1"
    return environment.airflow(place, exports, api) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(UI.number),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
    }, users


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, TimeoutError, ConnectionError):
        return False


def _welcome(progress: Progress, users: Mapping[str, str], key: str) -> None:
    """Waits for emulator and UI, makes what Airflow needs in the cloud, prints where to log in."""
    emulator, ui = f"http://127.0.0.1:{REST.number}", f"http://127.0.0.1:{UI.number}"
    progress.wait(lambda: _answers(f"{emulator}/emulator/health"), "starting the emulator", READY_S)
    project.deploy(f"127.0.0.1:{GRPC.number}", emulator, key)
    progress.wait(lambda: _answers(f"{ui}/api/v2/version"), "starting Airflow", READY_S)
    logins = ", ".join(f"{name} / {password}" for name, password in users.items())
    progress.say(
        f"ready: Airflow at {ui} (user / password: {logins}); emulator at {emulator}; Ctrl-C stops all"
    )


def main(state: Path) -> None:
    """Runs until Ctrl-C (exit code 0) or until a process ends by itself (its exit code)."""
    _check_ports()
    progress = Progress()
    place = Place.of("up", state)
    key = environment.api_key(place)
    env, users = _airflow_environment(place)
    env |= limits.triggerer(limits.raise_open_files())
    try:
        migrate(place, env, progress)
    except ChildFailed as error:
        sys.exit(f"up: {error}")
    honcho.KILL_WAIT = STOP_S
    manager = honcho.Manager()
    commands = _commands(place)
    for name, argv in commands.items():
        own = env if name in AIRFLOW else environment.tools()
        log = shlex.quote(str(place.logs / f"{name}.log"))
        command = shlex.join([sys.executable, "-m", *argv])
        manager.add_process(name, f"exec {command} >{log} 2>&1", env=own, cwd=str(ROOT))
    progress.say(f"starting {len(commands)} processes; their output: {place.logs}")
    threading.Thread(target=_welcome, args=(progress, users, key), daemon=True).start()
    manager.loop()
    interrupted = manager.returncode in (130, 143)
    sys.exit(0 if interrupted else manager.returncode)
