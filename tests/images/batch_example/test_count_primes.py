"""The example job: the slices of an array add up, whatever their number, and failures are told by exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

IMAGE = Path(__file__).resolve().parents[3] / "include" / "images" / "batch_example"


def run(*args: str, **env: str) -> tuple[int, list[dict[str, Any]]]:
    ran = subprocess.run(
        [sys.executable, str(IMAGE / "count_primes.py"), *args], env=os.environ | env, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("tasks", [1, 3, 7])
def test_slices_of_an_array_add_up_to_the_whole(tmp_path: Path, tasks: int) -> None:
    parts = str(tmp_path / "parts")
    for index in range(tasks):
        code, _ = run(
            "count",
            "--upto",
            "10000",
            "--parts",
            parts,
            BATCH_TASK_INDEX=str(index),
            BATCH_TASK_COUNT=str(tasks),
        )
        assert code == 0
    code, lines = run("gather", "--parts", parts, "--expect", str(tasks))
    assert (code, lines[-1]["primes"]) == (0, 1229)


def test_a_missing_part_is_no_sum(tmp_path: Path) -> None:
    code, lines = run("gather", "--parts", str(tmp_path), "--expect", "2")
    assert code == 3
    assert "part-0.json" in lines[-1]["message"]
    assert lines[-1]["severity"] == "ERROR"


def test_a_wrong_argument_is_named(tmp_path: Path) -> None:
    assert run("count", "--upto", "many")[0] == 2


def test_a_secret_file_is_written_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ssh"
    code, lines = run(
        "count", "--upto", "10", GCP_JOBS_SECRET_FILE_0="s3cret", GCP_JOBS_SECRET_FILE_0_PATH=str(path)
    )
    assert code == 0
    assert path.read_text() == "s3cret"
    assert path.stat().st_mode & 0o777 == 0o400
    assert "s3cret" not in json.dumps(lines)
