"""dlt's BigQuery destination, unmodified, with a job's credentials: every way to write that a pipeline can choose."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gcp_emulator.metadata import MetadataServers

EXPECTED = {
    "replace truncate-and-insert parquet": [["Corgi"], 2],
    "replace truncate-and-insert jsonl": [["Corgi"], 2],
    "replace insert-from-staging parquet": [["Corgi"], 2],
    "replace staging-optimized parquet": [["Corgi"], 2],
    "merge delete-insert": [["Corgi", "Dingo", "Eurasier"], 6],
    "merge upsert": [["Corgi", "Dingo", "Eurasier"], 6],
    "merge insert-only": [["Akita", "Boxer", "Eurasier"], 6],
    "merge scd2": [["Akita", "Boxer", "Corgi"], 1],
    "append": ["Akita", "Boxer"],
    "evolution": [["colour", "id", "info__x", "weight", "weight__v_text"], [None, "heavy"]],
    "state": [[1, 2, 3], True],
    "read": [2, 2],
}


@pytest.fixture
def metadata():
    """The address of a job's metadata server, which its credentials come from."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = MetadataServers()

    def wait(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    yield wait(servers.address("job@mine.iam.gserviceaccount.com", "mine"))
    wait(servers.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_pipeline_lands_its_rows_however_it_writes_them(ready, metadata, tmp_path):
    """One process for all cases of ingestions.py: most of their time they wait for dlt's next look at a job."""
    script = Path(__file__).with_name("ingestions.py")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **ready["env"],
        "GCE_METADATA_HOST": metadata,
        "GCE_METADATA_IP": metadata,
    }
    done = subprocess.run(
        [sys.executable, str(script), f"dlt-{os.getpid()}", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = {case: result for case, result in found.items() if result != EXPECTED.get(case)}
    assert not wrong, "\n".join(f"{case}: {result}" for case, result in wrong.items())
    assert found.keys() == EXPECTED.keys()
