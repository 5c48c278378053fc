"""A deployment changes the code under waits that are in Airflow's database: today's code finishes them.

What each release left there is in fixtures/; the job that a wait names is made anew for the test.
"""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string
from tests.gcp_jobs.in_flight import FIXTURES, loaded
from tests.gcp_jobs.small_airflow import fire
from tests.gcp_jobs.tries import BACKENDS, SPEC, Store, context, worker

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run_messages import ref as place
from gcp_jobs.model import JobRef, JobSpec

RELEASES = sorted(FIXTURES.iterdir())
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
each_backend = pytest.mark.parametrize("backend", list(BACKENDS))


def again(file: Path) -> dict[str, Any]:
    """What a release left, about a job like the one it was about then."""
    text = file.read_text()
    then = JobRef.from_dict(json.loads(text)["run"])
    name, backend = then.job, BACKENDS[then.backend]
    values = {"name": name, "project": then.project, "region": then.region, "environment": "local", **SPEC}
    spec = JobSpec.model_validate(values | {"args": ["seconds=0.5"]})
    backend.ensure(spec)
    where = then if then.on_batch else place(spec)
    known = json.loads(text).get("store", {}).get("gcp_jobs", {})
    key = (
        uuid.uuid4().hex if then.on_batch else known["run_key"]
    )  # Batch remembers requests for deleted jobs, too
    now = backend.submit(RunRequest(where, run_key=key, spec=spec, exact=True))
    for old, new in ((then.run, now.run), (then.uid, now.uid)):
        text = text.replace(f'"{old}"', f'"{new}"') if old else text
    return {name: value if name == "run" else loaded(value) for name, value in json.loads(text).items()}


@pytest.fixture(autouse=True)
def _no_jobs_of_a_test_before(emulator: Any) -> None:
    """A job's id can be had once: the jobs of the test before must be gone."""
    for each in BACKENDS["batch"].list(JobRef("batch", "local-project", "europe-west1", "in-flight")):
        from google.cloud import batch_v1

        from gcp_jobs import clients
        from gcp_jobs.clients import Access

        api = clients.client("BatchService", Access())
        api.delete_job(batch_v1.DeleteJobRequest(name=each.ref.name)).result(timeout=30)


@each_release
@each_backend
def test_a_trigger_of_an_earlier_release_waits_on_and_its_task_succeeds(
    emulator: Any, release: Path, backend: str
) -> None:
    left = again(release / f"job-{backend}.json")
    path, kwargs = left["trigger"]
    event = fire([import_string(path)(**kwargs)])[0].payload
    assert event["outcome"] == "ended"
    result = worker(backend, "in-flight", True).execute_complete(context(Store(left["store"]), 1, 0), event)
    assert result["state"] == "SUCCEEDED"


@each_release
@each_backend
def test_an_event_and_a_rest_of_an_earlier_release_are_understood(
    emulator: Any, release: Path, backend: str, until: Any
) -> None:
    left = again(release / f"job-{backend}.json")
    ref = JobRef.from_dict(left["event"]["carry"]["ref"])
    until(lambda: BACKENDS[backend].get(ref).terminal)
    said = context(Store(left["store"]), 1, 0)
    assert worker(backend, "in-flight", True).execute_complete(said, left["event"])["state"] == "SUCCEEDED"
    path, kwargs = left["rest"]
    assert fire([import_string(path)(**kwargs)])[0].payload["outcome"] == "rested"


@each_release
@each_backend
def test_a_retry_attaches_to_the_job_that_an_earlier_release_had_started(
    emulator: Any, release: Path, backend: str
) -> None:
    left = again(release / f"job-{backend}.json")
    emulator.reset()
    result = worker(backend, "in-flight", False).execute(context(Store(left["store"]), 2, 0))
    assert result["state"] == "SUCCEEDED"
    assert emulator.count("RunJob") + emulator.count("CreateJob") == 0


@each_release
def test_a_set_of_an_earlier_release_is_waited_for(emulator: Any, release: Path) -> None:
    path, kwargs = again(release / "job_set.json")["trigger"]
    event = fire([import_string(path)(**kwargs)])[0].payload
    assert (event["outcome"], event["shortfall"]) == ("ended", "")
