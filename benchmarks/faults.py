"""`make faults`: each fault once, through real Airflow and the emulator: where it is caught, what the user reads.

After each fault the same runs again without it: a rerun must heal it. Writes build/faults.json. Those that meet a task
while it waits for its job are in faults_waiting.py, those that meet events in faults_events.py.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from benchmarks.faults_triggerer import triggerer_killed
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from laptop import environment, services
from laptop.child import Child
from laptop.place import INGESTION, ROOT, STATE, TABLES, Place
from laptop.ports import free_ports
from laptop.progress import Progress
from laptop.run import migrate

FAULT_DONE = re.compile(r": (ok|NOT as it should be) \([\d.]+ s\)$")
QUICK = {"http_attempts": 3, "http_timeout_s": 2}
HOUSES = 2
WAITING_TASKS = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how it is made (the DAG run's conf, the environment, words of the template), and what must be read.

    :param caught: who says so
    :param reads: regular expression that the user's text must match
    :param api: the sample API's way to misbehave (breeds_api/faults.py)
    :param passes: whether the run succeeds in spite of it
    :param dags: what the rerun consists of; the fault meets the last of them
    """

    name: str
    caught: str
    reads: str
    api: str = ""
    conf: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)
    template: tuple[str, str] | None = None
    passes: bool = False
    dags: Sequence[str] = (INGESTION,)


def _refused() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


SOURCE = (
    Fault(
        "API down",
        "container, exit code 4",
        r"cannot be reached|[Cc]onnection refused",
        conf={"api_base_url": f"http://{_refused()}/v1"},
    ),
    Fault("500s that stop", "container: tries again", r"loaded 40 breeds", api="500-2", passes=True),
    Fault("429 with Retry-After", "container: waits as told", r"loaded 40 breeds", api="429-1", passes=True),
    Fault("truncated JSON", "container, exit code 4", r"\[dependency_down\].*exit code 4", api="truncated"),
    Fault("HTML instead of JSON", "container, exit code 4", r"HTML|text/html", api="html"),
    Fault("an empty list", "container, exit code 4", r"exit code 4", api="empty"),
    Fault(
        "records of the wrong shape",
        "container, exit code 6",
        r"5 of 10 records cannot be used",
        api="half-bad",
    ),
    Fault(
        "an API that repeats its first page for ever",
        "container: stops at the repeat",
        r"loaded 7 breeds",
        api="first-page",
        conf={"page_size": 7},
        passes=True,
    ),
)
SURROUNDINGS = (
    Fault(
        "an unwritable database",
        "container, exit code 5",
        r"DUCKDB_PATH=/proc/breeds\.duckdb",
        env={
            "GCP_JOBS_INGESTION_DESTINATION": "duckdb",
            "GCP_JOBS_INGESTION_DUCKDB_PATH": "/proc/breeds.duckdb",
        },
    ),
    Fault(
        "a missing secret",
        "emulator, as Google",
        r"missing-dog-api-key",
        env={"GCP_JOBS_SECRET_PREFIX": "missing-"},
    ),
    Fault(
        "an unknown destination",
        "settings, at DAG parse",
        r"GCP_JOBS_INGESTION_DESTINATION='parquet'.*'bigquery' or 'duckdb'",
        env={"GCP_JOBS_INGESTION_DESTINATION": "parquet"},
    ),
    Fault(
        "a template with a wrong field",
        "template, before anything is sent",
        r"memroy.*did you mean .*memory",
        template=("memory:", "memroy:"),
    ),
    Fault(
        "a job image that does not exist",
        "emulator, as Google",
        r"no-such-image.*not found",
        template=("/dlt-ingestion:", "/no-such-image:"),
    ),
    Fault(
        "a task killed for memory",
        "emulator, as Cloud Run",
        r"\[out_of_memory\].*[Rr]aise `memory`",
        template=("  cpu: 1", "  command: [python, -c, 'x = bytearray(4 << 30); input()']\n  cpu: 1"),
    ),
    Fault("a task over its timeout", "emulator, as Cloud Run", r"\[timed_out\]", template=("1800s", "1s")),
    Fault(
        "the emulator is not running",
        "clients",
        r"no emulator answers at .*make up",
        env={"CLOUD_RUN_EMULATOR_HOST": _refused()},
    ),
    Fault(
        "a missing connection",
        "clients",
        r"no connection 'google_cloud_default'.*airflow connections add",
        env={"AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": None},
    ),
    Fault(
        "BigQuery is away while tables are made",
        "container, exit code 5",
        r"\[dependency_down\]: BigQuery is away or refuses \(exit code 5\).*Wait until it answers",
        template=(
            "    GCP_PROJECT_ID:",
            f"    BIGQUERY_EMULATOR_HOST: http://{_refused()}\n    BIGQUERY_AWAY_S: '5'\n    GCP_PROJECT_ID:",
        ),
        dags=(INGESTION, TABLES),
    ),
    Fault("an unknown param", "the DAG's first task", r"unknown param 'page_sice'", conf={"page_sice": 7}),
)


@dataclass(frozen=True, slots=True)
class House:
    """An emulator, a sample API and an Airflow home to run the DAG in."""

    place: Place
    env: Mapping[str, str]
    api: str
    progress: Progress

    def run(self, dag_id: str, fault: Fault | None) -> tuple[bool, str]:
        """Runs a DAG, with the fault or without; whether it succeeded, and all that was printed."""
        env: dict[str, str] = dict(self.env)
        conf: dict[str, Any] = dict(QUICK) if dag_id == INGESTION else {}
        if fault:
            conf |= fault.conf
            if fault.api:
                conf["api_base_url"] = self.api.replace("/v1", f"/faults/{fault.api}/v1")
            for name, value in fault.env.items():
                if value is None:
                    del env[name]
                else:
                    env[name] = value
            if fault.template:
                env["GCP_JOBS_TEMPLATE_FOLDERS"] = str(self._bent(dag_id, *fault.template))
        argv = ["airflow", "dags", "test", dag_id, "--conf", json.dumps(conf)]
        with Child("faults-dag", argv, env, self.place.logs, ROOT) as dag:
            self.progress.wait(dag.ended, fault.name if fault else "the rerun", 180)
        return dag.process.returncode == 0, dag.log.read_text(errors="replace")

    def _bent(self, dag_id: str, right: str, wrong: str) -> Path:
        folder = self.place.state / "templates"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        template = f"{dag_id}.yaml"
        text = (ROOT / "include" / "job_templates" / template).read_text()
        if right not in text:
            raise LookupError(f"{template} has no {right!r}: the fault cannot be made")
        (folder / template).write_text(text.replace(right, wrong))
        return folder


@contextmanager
def _house(number: int, progress: Progress) -> Iterator[House]:
    place = Place.of(f"faults-{number}", STATE)
    with ExitStack() as stack:
        exports, api = services.start(stack, place, progress)
        env = environment.airflow(place, exports, api)
        migrate(place, env, progress)
        yield House(place, env, api, progress)


def _read(output: str, reads: str) -> str:
    """The line that the user reads, without the time stamp before it and the logger behind it."""
    flat = re.compile(reads)
    for line in reversed(output.splitlines()):
        if flat.search(line):
            text = re.sub(r"^\S+ \[\w+ *\] ", "", line)
            return re.sub(r"\s+\[[\w.]+\] .*$", "", text).strip()
    return ""


def _taken_port(progress: Progress) -> tuple[bool, str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        argv = [
            sys.executable,
            "-m",
            "gcp_emulator",
            f"--grpc-port={server.getsockname()[1]}",
            "--rest-port=0",
        ]
        ended = subprocess.run(argv, env=environment.tools(), capture_output=True, text=True, timeout=60)
    return ended.returncode == 2, ended.stderr.strip()


def _beside(module: str, what: str, only: str, progress: Progress) -> list[dict[str, Any]]:
    """Shows the faults of a module in a process of their own."""
    place = Place.of(module.replace("_", "-"), STATE)
    result = place.state / "rows.json"
    result.unlink(missing_ok=True)
    path = {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("plugins", "include", "."))}
    env = environment.tools() | path | {"GRPC_VERBOSITY": "NONE"}
    argv = [f"benchmarks.{module}", str(result), only]
    with Child(place.state.name, argv, env, place.logs, ROOT) as child, child.log.open() as output:

        def ended() -> bool:
            for line in output:
                if FAULT_DONE.search(line):
                    progress.say(line.strip())
            return child.ended()

        progress.wait(ended, f"faults that meet {what}", 600)
        child.finish(progress, f"the faults that meet {what}")
    return list(json.loads(result.read_text()))


def _shown(house: House, fault: Fault) -> dict[str, Any]:
    succeeded, output = house.run(fault.dags[-1], fault)
    error = _read(output, fault.reads)
    healed = all(house.run(each, None)[0] for each in fault.dags)
    ok = bool(error) and succeeded is fault.passes and healed
    return {"fault": fault.name, "caught": fault.caught, "error": error, "healed": healed, "ok": ok}


OTHERS: tuple[tuple[str, str, Callable[[Progress], tuple[bool, str]]], ...] = (
    ("a port that is taken", "at start", _taken_port),
    (
        f"a triggerer killed while {WAITING_TASKS} tasks wait",
        "another triggerer",
        partial(triggerer_killed, WAITING_TASKS),
    ),
)


def _table(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table("fault", "where it is caught", "what the user reads", "ok", show_lines=True)
    for row in rows:
        table.add_row(row["fault"], row["caught"], escape(row["error"][:400]), "yes" if row["ok"] else "NO")
    console.print(table)


def _in_house(number: int, faults: "Queue[Fault]", progress: Progress) -> list[dict[str, Any]]:
    """Shows faults from the queue until it is empty."""
    rows: list[dict[str, Any]] = []
    with _house(number, progress) as house:
        while True:
            try:
                fault = faults.get_nowait()
            except Empty:
                return rows
            rows.append(_shown(house, fault))
            progress.say(f"{fault.name}: {'ok' if rows[-1]['ok'] else 'NOT as it should be'}")


def main() -> None:
    """Exit code 1 when a fault was not caught as it should be, or a rerun did not heal it."""
    progress = Progress()
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    only = re.compile(asked)
    faults: Queue[Fault] = Queue()
    for fault in (*SOURCE, *SURROUNDINGS):
        if only.search(fault.name):
            faults.put(fault)
    with ThreadPoolExecutor(HOUSES) as pool:
        numbers = range(min(HOUSES, faults.qsize()))
        houses = [pool.submit(_in_house, number, faults, progress) for number in numbers]
    rows = [row for house in houses for row in house.result()]
    rows += _beside("faults_waiting", "a waiting task", asked, progress)
    rows += _beside("faults_events", "events", asked, progress)
    rows += _beside("faults_destination", "data on its way", asked, progress)
    for name, caught, show in OTHERS:
        if only.search(name):
            ok, error = show(progress)
            rows.append({"fault": name, "caught": caught, "error": error, "healed": True, "ok": ok})
            progress.say(f"{name}: {'ok' if ok else 'NOT as it should be'}")
    _table(rows, Console(width=None if sys.stdout.isatty() else 160))
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "faults.json").write_text(json.dumps(rows, indent=1))
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


if __name__ == "__main__":
    main()
