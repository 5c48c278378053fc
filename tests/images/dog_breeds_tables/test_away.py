"""BigQuery is away: before the run, in the middle of it, or by the call; readers keep the tables that they had."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from benchmarks import adc
from gcp_emulator import process
from gcp_emulator.runtime.environments import Environments
from laptop.ports import free_ports

PROJECT = "local-project"
ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "include" / "images" / "dog_breeds_tables"
AWAY_S = 3
Seen = Callable[[str, "subprocess.Popen[str]"], None]
pytestmark = pytest.mark.timeout(300)


class Job:
    """The job as a process of its own, and the BigQuery of one emulator, which may go and come back."""

    def __init__(self, folder: Path, credentials: dict[str, str]) -> None:
        cache = ROOT / ".state" / "image-environments"
        self._python = asyncio.run(Environments(cache).ensure(IMAGE / "requirements.txt")) / "bin" / "python"
        self._folder, self._credentials = folder, credentials

    @contextmanager
    def cloud(self) -> Iterator[dict[str, Any]]:
        """An emulator with the tables of the one before."""
        with process.start(project=PROJECT, state=self._folder / "state", log=self._folder / "log") as ready:
            yield ready

    def run(self, address: str, seen: Seen = lambda *_: None) -> tuple[int, dict[str, Any]]:
        """Exit code and last log line; `seen` is told each line while the job runs."""
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | self._credentials
        env |= {
            "PYTHONPATH": str(IMAGE), "GCP_PROJECT_ID": PROJECT, "BIGQUERY_EMULATOR_HOST": address,
            "BIGQUERY_AWAY_S": str(AWAY_S), "REPORT": str(self._folder / "report"),
        }  # fmt: skip
        argv = [self._python, "-m", "dog_breeds_tables"]
        with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as job:
            assert job.stdout
            for line in job.stdout:
                seen(line, job)
        return job.returncode, json.loads(line)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with adc.granted(f"tables@{PROJECT}.iam.gserviceaccount.com", PROJECT) as credentials:
        yield Job(tmp_path, credentials)


def _query(ready: dict[str, Any], sql: str) -> list[tuple[Any, ...]]:
    options = {"api_endpoint": ready["rest"]}
    client = bigquery.Client(PROJECT, credentials=AnonymousCredentials(), client_options=options)
    found = [tuple(row) for row in client.query_and_wait(sql)]
    client.close()
    return found


def _load(ready: dict[str, Any], ids: str) -> None:
    """What the ingestion leaves behind, with breeds of these numbers only."""
    breed = (
        '{"id": %d, "name": "Beacon Watchdog", "life_span": "9 - 11 years", "weight": {"metric": "20 - 25"}}'
    )
    _query(ready, "create schema if not exists dog_breeds_raw")
    _query(
        ready,
        "create or replace table dog_breeds_raw.dog_breeds_resource as select row_id, "
        f"parse_json(format('{breed}', row_id)) as breed_json, current_timestamp() as updated_at "
        f"from unnest({ids}) as row_id",
    )


def _dim(ready: dict[str, Any]) -> list[int]:
    return [row[0] for row in _query(ready, "select breed_id from dog_breeds.dim_breeds order by 1")]


def test_a_bigquery_that_never_answers_ends_the_run_as_a_dependency_that_is_down(
    job: Job, tmp_path: Path
) -> None:
    code, last = job.run(f"http://127.0.0.1:{free_ports(1)[0]}")
    assert code == 5, last
    assert (
        f"BigQuery has not answered for {AWAY_S} s in project {PROJECT} (ConnectionError" in last["message"]
    )
    assert "Run again when it does" in last["message"]
    assert "BigQuery has not answered" in (tmp_path / "report.html").read_text()


def test_one_that_goes_away_in_the_middle_leaves_readers_what_they_had_and_errors_in_bursts_do_not_matter(
    job: Job,
) -> None:
    with ExitStack() as cloud:
        ready = cloud.enter_context(job.cloud())
        _load(ready, "[1, 2, 3]")
        assert job.run(ready["rest"])[0] == 0
        _load(ready, "[4, 5]")

        def gone(line: str, _: object) -> None:
            if "breeds_normalised: CREATE TABLE" in line:
                cloud.close()

        code, last = job.run(ready["rest"], gone)
        assert code == 5, last
        assert "BigQuery has not answered" in last["message"]
    with job.cloud() as ready:
        assert _dim(ready) == [1, 2, 3]
        fault = {"kind": "call", "methods": ["bigquery.*"], "code": "UNAVAILABLE", "share": 0.3, "times": 12}
        wanted = Request(f"{ready['rest']}/emulator/faults", json.dumps(fault).encode())
        with urlopen(wanted, timeout=10) as answer:
            put = json.load(answer)["id"]
        code, last = job.run(ready["rest"])
        assert code == 0, last
        with urlopen(f"{ready['rest']}/emulator/faults/{put}", timeout=10) as answer:
            assert json.load(answer)["hits"] > 0
        with urlopen(Request(f"{ready['rest']}/emulator/faults", method="DELETE"), timeout=10):
            assert _dim(ready) == [4, 5]


def test_a_run_that_is_told_to_stop_is_no_failure_of_bigquery(job: Job) -> None:
    def told(line: str, running: "subprocess.Popen[str]") -> None:
        if "breeds_normalised: CREATE TABLE" in line:
            running.terminate()

    with job.cloud() as ready:
        _load(ready, "[1, 2, 3]")
        code, last = job.run(ready["rest"], told)
    assert code == 143, last
    assert "stopped by SIGTERM" in last["message"]
