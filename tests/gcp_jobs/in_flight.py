"""What waits in Airflow's database while a deployment changes the code: as recorded, and how it is recorded.

`python -m tests.gcp_jobs.in_flight` records the forms of the release at hand; releases that are out stay as they are.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.serde import deserialize, serialize
from tests.gcp_jobs.small_airflow import fire
from tests.gcp_jobs.tries import BACKENDS, Store, context, worker

from gcp_emulator import process
from gcp_jobs.clients import Access
from gcp_jobs.job_set import JobSet, Want
from gcp_jobs.model import JobRef
from gcp_jobs.triggers.job_set import JobSetTrigger
from gcp_jobs.triggers.pause import PauseTrigger

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
NAME = "in-flight"


def stored(value: Any) -> Any:
    """The form in which Airflow keeps it."""
    return json.loads(json.dumps(serialize(value)))


def loaded(value: Any) -> Any:
    """What Airflow makes of the kept form."""
    return deserialize(value)


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """A wait for one job on each backend: its trigger, the event, the task's store, and a rest between attempts."""
    for backend in BACKENDS:
        store = Store()
        try:
            worker(backend, NAME, True).execute(context(store, 1, 0))
        except TaskDeferred as deferral:
            trigger = deferral.trigger
        event = fire([trigger])[0].payload
        carry = event["carry"]
        rest = PauseTrigger(1.0, {**carry, "not_before": 1.0})
        yield (
            f"job-{backend}",
            {
                "run": carry["ref"],
                "trigger": stored(trigger.serialize()),
                "event": stored(event),
                "rest": stored(rest.serialize()),
                "store": stored(dict(store)),
            },
        )


def sets(ref: JobRef) -> dict[str, Any]:
    """A wait for a set of jobs."""
    some = JobSet(ref.project, ref.region, names=(ref.job,))
    trigger = JobSetTrigger(some.to_dict(), Want().to_dict(), Access().to_dict())
    return {"run": ref.to_dict(), "trigger": stored(trigger.serialize())}


def record(folder: Path) -> None:
    """Write all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    found = dict(jobs())
    found["job_set"] = sets(JobRef.from_dict(found["job-batch"]["run"]))
    for name, value in found.items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Records on an emulator of its own."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with tempfile.TemporaryDirectory() as folder:
        log, cache = Path(folder) / "emulator.log", ROOT / ".state" / "image-environments"
        with process.start(env_cache=cache, log=log) as ready:
            os.environ.update(ready["env"], AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT="google-cloud-platform://")
            os.environ.update(GCP_JOBS_ENVIRONMENT="local", GCP_JOBS_PROJECT="local-project")
            record(FIXTURES / version)


if __name__ == "__main__":
    main()
