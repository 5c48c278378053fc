import os
import resource
import subprocess
import sys
from typing import Any

import pytest
import yaml

from laptop import environment, limits
from laptop.place import ROOT

CAPACITY, A_LOOP = (f"AIRFLOW__TRIGGERER__{name}" for name in ("CAPACITY", "MAX_TRIGGER_TO_SELECT_PER_LOOP"))


@pytest.mark.parametrize(("files", "waits"), [(65_536, 25_000), (20_000, 19_000), (1_024, 512)])
def test_a_triggerer_takes_no_more_waits_than_it_may_open_logs(files: int, waits: int) -> None:
    assert limits.triggerer(files)[CAPACITY] == str(waits)


def test_a_low_soft_limit_is_raised_and_a_high_one_left_alone() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = (
        "import resource; from laptop import limits\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
        "print(limits.raise_open_files(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], limits.raise_open_files())"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT / "include")}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {str(limits.open_files())}


def test_compose_waits_as_make_up_does() -> None:
    services: Any = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    told = services["triggerer"]["environment"]
    assert told["GCP_JOBS_STATUS_TOPIC"] == environment.STATUS_TOPIC
    assert services["scheduler"]["environment"]["GCP_JOBS_STATUS_TOPIC"] == environment.STATUS_TOPIC
    assert told[A_LOOP] == str(limits.A_LOOP)
    assert told[CAPACITY] == f"${{TRIGGERER_CAPACITY:-{limits.WAITS}}}"
    assert f":-{limits.FILES}" in services["triggerer"]["ulimits"]["nofile"]["soft"]
