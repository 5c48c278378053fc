"""The container's files: small, pinned, not root."""

import re
import subprocess
import sys
from pathlib import Path

from dlt_ingestion import job

IMAGE = Path(job.__file__).parents[1]
DOCKERFILE = (IMAGE / "Dockerfile").read_text()
REQUIREMENTS = (IMAGE / "requirements.txt").read_text().splitlines()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]


def test_every_requirement_is_pinned_and_the_direct_ones_are_among_them() -> None:
    """An image built twice must hold the same packages twice."""
    assert all(re.match(r"[a-z0-9-]+==[^ ]+( ; .+)?$", line) for line in REQUIREMENTS)
    direct = [line.split("#")[0].strip() for line in (IMAGE / "requirements.in").read_text().splitlines()]
    assert {line for line in direct if line} <= set(REQUIREMENTS)


def test_the_last_stage_is_lean_and_not_root() -> None:
    assert DOCKERFILE.count("FROM ") == 2
    assert "pip install" not in LAST_STAGE
    assert re.search(r"^USER (?!0|root)", LAST_STAGE, re.MULTILINE)
    assert LAST_STAGE.rstrip().endswith('ENTRYPOINT ["python", "-m", "dlt_ingestion"]')
    assert "# syntax=" not in DOCKERFILE


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([str(hadolint), str(IMAGE / "Dockerfile")], check=True, timeout=60)
