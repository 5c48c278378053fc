"""DAG reconcile asks a real Airflow: a job whose task is over is cancelled, a stranger's is left."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
SUBMIT = """
import sys
from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobSpec
for key, run_id in (("a", sys.argv[1]), ("b", "of another Airflow")):
    spec = JobSpec(
        name="orphan-" + key, project="local-project", region="europe-west4", environment="local", memory="512Mi",
        image="europe-west1-docker.pkg.dev/local-project/jobs/batch-example:1",
        command=["python", "-c", "import time; time.sleep(120)"],
        labels={"managed-by": "gcp-jobs"},
    )
    names = {"DAG_ID": "reconcile", "RUN_ID": run_id, "TASK_ID": "reconcile", "MAP_INDEX": "-1"}
    env = {"GCP_JOBS_" + name: value for name, value in names.items()}
    job = JobRef("batch", spec.project, spec.region, spec.name)
    BatchBackend(Access()).submit(RunRequest(job, run_key=key * 32, spec=spec, env=env))
"""


def test_a_job_whose_task_is_over_is_cancelled_and_a_strangers_is_left(house: Any) -> None:
    import subprocess

    places = {"GCP_JOBS_RECONCILE_PLACES": "local-project/europe-west4"}
    first = house.airflow("dags", "test", "reconcile", **places)
    assert first.returncode == 0, first.stdout[-6000:]
    (run_id,) = set(re.findall(r"run_id=(manual__[^,\s]+)", first.stdout))
    env = house.env | {"PYTHONPATH": str(ROOT / "plugins")}
    subprocess.run([sys.executable, "-c", SUBMIT, run_id], env=env, check=True, timeout=60)
    conf = json.dumps({"cancel_orphans": True, "grace_minutes": 0})
    ran = house.airflow("dags", "test", "reconcile", "--conf", conf, **places)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert re.search(r"orphan-a-\w+: \w+: its task is success; .*; cancelled, it is CANCELLED", ran.stdout), (
        ran.stdout[-6000:]
    )
    assert re.search(r"orphan-b-\w+: \w+: neither Airflow nor the ledger knows it", ran.stdout)
    assert "orphan: 1, strange: 1" in ran.stdout or "strange: 1, orphan: 1" in ran.stdout
