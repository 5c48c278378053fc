"""bin/setup on machines that lack something: one line says what to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("sh", "cat", "cksum", "dirname", "sed", "date", "mkdir", "sleep")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with bin/setup, and a PATH folder without any Python."""
    (tmp_path / "bin").mkdir()
    for name in ("bin/setup", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    path = tmp_path / "path"
    path.mkdir()
    for name in COMMANDS:
        os.symlink(str(shutil.which(name)), path / name)
    return tmp_path


def _setup(machine: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(machine / "bin/setup")],
        env={"PATH": str(machine / "path"), **env},
        capture_output=True,
        text=True,
    )


def _program(machine: Path, name: str, text: str) -> Path:
    file = machine / "path" / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_no_python_at_all(machine: Path) -> None:
    ended = _setup(machine)
    assert ended.returncode == 1
    assert "no working Python 3.11, 3.12 or 3.13" in ended.stderr
    assert "apt-get install python3" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_shim_that_fails_is_passed_over(machine: Path) -> None:
    _program(machine, "python3.12", "exit 127")
    _program(machine, "python3", 'case "$2" in *version_info*) exit 0;; esac; exit 1')
    ended = _setup(machine)
    assert "python3 lacks the venv module" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_the_python_that_was_named_is_not_silently_replaced(machine: Path) -> None:
    _program(machine, "python3", "exit 0")
    ended = _setup(machine, PYTHON="/nowhere/python")
    assert ended.returncode == 1
    assert "PYTHON=/nowhere/python" in ended.stderr
