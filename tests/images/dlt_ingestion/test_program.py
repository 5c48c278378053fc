"""`python -m dlt_ingestion` as the container starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from breeds_api.records import Records
from breeds_api.server import BreedsServer
from dlt_ingestion import job

IMAGE = Path(job.__file__).parents[1]


def start(tmp_path: Path, **environ: str) -> subprocess.Popen[str]:
    base = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    base["PYTHONPATH"] = os.pathsep.join(filter(None, [str(IMAGE), base.get("PYTHONPATH")]))
    base |= {"HOME": str(tmp_path), "DESTINATION": "duckdb", "DUCKDB_PATH": str(tmp_path / "breeds.duckdb")}
    return subprocess.Popen(
        [sys.executable, "-m", "dlt_ingestion"],
        env=base | environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_line_is_json_and_the_last_one_sums_up(
    api: BreedsServer, tmp_path: Path, database: Any
) -> None:
    process = start(tmp_path, DOG_API_BASE_URL=api.url)
    output, errors = process.communicate(timeout=120)
    lines = [json.loads(line) for line in output.splitlines()]
    assert (process.returncode, errors) == (0, "")
    assert all({"severity", "time", "logger", "message"} <= line.keys() for line in lines)
    assert (lines[-1]["outcome"], lines[-1]["rows"]) == ("complete", 40)
    assert type(database)(tmp_path / "breeds.duckdb").ids()[0] == 1


def test_a_wrong_setting_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    process = start(tmp_path, PAGE_SIZE="lots")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors, output.count("\n")) == (3, "", 1)
    assert json.loads(output)["message"].startswith(
        "PAGE_SIZE='lots' cannot be used: set it to a whole number"
    )


def test_sigterm_ends_it_at_once_and_leaves_the_table(tmp_path: Path, database: Any) -> None:
    """Cloud Run sends SIGTERM and kills ten seconds later; what is published must be whole either way."""
    with BreedsServer(Records.load(repeat=100_000)) as server:
        process = start(tmp_path, DOG_API_BASE_URL=server.url_with("slow-0.05"), PAGE_SIZE="50")
        deadline = time.monotonic() + 60
        while len(server.asked) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
    last = json.loads(output.splitlines()[-1])
    assert (process.returncode, last["exit_code"], errors) == (143, 143, "")
    assert last["message"].startswith("stopped by SIGTERM while ")
    assert "the table is as it was" in last["message"]
    found = type(database)(tmp_path / "breeds.duckdb").rows(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'dog_breeds_raw'"
    )
    assert found == [(0,)]
