"""The job's own environment, an emulator with a BigQuery of its own, and what the job did there."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import adc
from gcp_emulator import process
from gcp_emulator.runtime.environments import Environments

ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "include" / "images" / "dog_breeds_tables"
CACHE = ROOT / ".state" / "image-environments"
SAMPLE = ROOT / "include" / "breeds_api" / "sample.json"


@pytest.fixture(scope="session")
def driven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What drive.py tells of several runs, and `folder` with their reports."""
    python = asyncio.run(Environments(CACHE).ensure(IMAGE / "requirements.txt")) / "bin" / "python"
    folder = tmp_path_factory.mktemp("reports")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (
        process.start(log=folder / "emulator.log") as cloud,
        adc.granted("tables@local-project.iam.gserviceaccount.com", "local-project") as credentials,
    ):
        ran = subprocess.run(
            [python, Path(__file__).with_name("drive.py"), SAMPLE, folder],
            env=kept | cloud["env"] | credentials | {"PYTHONPATH": str(IMAGE)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1]) | {"folder": folder}
