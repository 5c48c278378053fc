"""A real emulator with small images of our own, and what points our clients at it."""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gcp_emulator import process

ROOT = Path(__file__).resolve().parents[2]

JOB = """
import os, sys, time, json
mode = sys.argv[1] if len(sys.argv) > 1 else "ok"
def say(text): print(text, flush=True)
say("hello from " + os.environ["CLOUD_RUN_EXECUTION"])
if mode == "lines":
    for n in range(int(sys.argv[2])):
        say(f"line {n}")
        time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
if mode == "json":
    say(json.dumps({"severity": "WARNING", "message": "counted", "rows": 7}))
if mode == "env":
    say("env " + json.dumps({k: v for k, v in os.environ.items() if k in sys.argv[2:]}, sort_keys=True))
if mode == "sleep":
    time.sleep(float(sys.argv[2]))
if mode == "exit":
    say("about to fail")
    sys.exit(int(sys.argv[2]))
if mode == "eat":
    hoard = bytearray(int(sys.argv[2]) * 2**20)
    for i in range(0, len(hoard), 4096):
        hoard[i] = 1
    time.sleep(30)
say("goodbye")
"""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    grpc: str
    url: str
    env: dict[str, str]
    images: Path

    def calls(self) -> dict[tuple[str, str], int]:
        """Count of calls by (short method, caller)."""
        with urllib.request.urlopen(f"{self.url}/emulator/calls") as answer:
            found = json.load(answer)["calls"]
        return {(c["method"].rpartition("/")[2], c["caller"]): c["count"] for c in found}

    def count(self, method: str) -> int:
        """Count of calls of a method by anybody."""
        return sum(n for (name, _), n in self.calls().items() if name == method)

    def reset(self) -> None:
        """Start counting anew."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/emulator/calls", method="DELETE")).close()


@pytest.fixture(scope="session")
def emulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    image = folder / "images" / "sample_job"
    image.mkdir(parents=True)
    (image / "job.py").write_text(JOB)
    (image / "requirements.txt").write_text("")
    (image / "Dockerfile").write_text(
        'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["python", "job.py"]\nCMD ["ok"]\n'
    )
    cache, log = ROOT / ".state" / "image-environments", folder / "emulator.log"
    with process.start(images=folder / "images", env_cache=cache, log=log) as ready:
        yield Emulator(ready["grpc"], ready["rest"], ready["env"], folder / "images")


@pytest.fixture
def emulator(emulator_process: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The emulator, with this test's settings, connection and clients pointing at it."""
    from gcp_jobs import clients
    from gcp_jobs.settings import settings

    for name, value in emulator_process.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", "google-cloud-platform://")
    monkeypatch.setenv("GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT", "airflow@test")
    monkeypatch.setenv("GCP_JOBS_LOG_READS_PER_MINUTE", "100000")
    monkeypatch.setenv("GCP_JOBS_LOG_SETTLE_SECONDS", "0.2")
    settings.cache_clear()
    clients.forget()
    from gcp_jobs import logs

    logs.shared_pace.cache_clear()
    emulator_process.reset()
    yield emulator_process
    settings.cache_clear()
    clients.forget()
    logs.shared_pace.cache_clear()


@pytest.fixture
def fault(emulator: Any) -> Iterator[Callable[..., None]]:
    """Ask the emulator for a fault; all are gone afterwards."""
    url = f"{emulator.url}/emulator/faults"

    def add(**fields: Any) -> None:
        body = json.dumps({"seed": 1, **fields}).encode()
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST")).close()

    yield add
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition: gives its first true value, fails after `seconds`."""

    def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, "the condition never came true"
            time.sleep(0.05)
        return value

    return wait


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A metadata database of this worker's own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow 3.3 reads .airflowignore by a pathspec pattern that pathspec 1.x calls deprecated."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


@dataclass(frozen=True)
class Ran:
    """One task's end in a DAG run: its state (of a mapped one the worst), its XCom result, and all that was printed."""

    state: str
    result: Any
    log: str
    rendered: dict[str, Any]


@pytest.fixture
def run_operator(airflow_db: None, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run one operator as task `job` of a DAG of its own, by dag.test."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.sdk import DAG

    def run(
        make: Callable[..., Any], name: str, *, conf: dict[str, Any] | None = None, **arguments: Any
    ) -> Ran:
        with DAG(name, start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
            task = make(task_id="job", **arguments)
        bag = DagBag(dag_folder=os.devnull, bundle_path=Path(os.devnull), bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        capfd.readouterr()
        dag_run = dag.test(run_conf=conf)
        instances = sorted(
            dag_run.get_task_instances(), key=lambda found: (found.state == "success", found.map_index)
        )
        instance = instances[0]
        rendered = RenderedTaskInstanceFields.get_templated_fields(instance) or {}
        result = instance.xcom_pull(task_ids=task.task_id)
        return Ran(str(instance.state), result, "".join(capfd.readouterr()), rendered)

    return run
