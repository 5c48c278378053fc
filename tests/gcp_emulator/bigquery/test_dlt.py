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
    **{
        f"replace {strategy} {kind}": [["Corgi"], 2]
        for strategy in ("truncate-and-insert", "insert-from-staging", "staging-optimized")
        for kind in ("parquet", "jsonl")
    },
    "merge delete-insert": [["Corgi", "Dingo", "Eurasier"], 6],
    "merge upsert": [["Corgi", "Dingo", "Eurasier"], 6],
    "merge insert-only": [["Akita", "Boxer", "Eurasier"], 6],
    "merge scd2": [["Akita", "Boxer", "Corgi"], 1],
    "append parquet": ["Akita", "Boxer"],
    "append jsonl": ["Akita", "Boxer"],
    "evolution": [["colour", "id", "info__x", "weight", "weight__v_text"], [None, "heavy"]],
    "state": [[1, 2, 3], True],
    "read": [2, 2],
}


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def found(ready, metadata, tmp_path_factory):
    """What each case of ingestions.py gave; one process for all, most of which waits."""
    script = Path(__file__).with_name("ingestions.py")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **ready["env"],
        "GCE_METADATA_HOST": metadata,
        "GCE_METADATA_IP": metadata,
    }
    done = subprocess.run(
        [sys.executable, str(script), f"dlt-{os.getpid()}", str(tmp_path_factory.mktemp("dlt"))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", EXPECTED)
def test_a_pipeline_lands_its_rows(case, found):
    assert found[case] == EXPECTED[case], found[case]


def test_no_case_is_left_out(found):
    assert found.keys() == EXPECTED.keys()
