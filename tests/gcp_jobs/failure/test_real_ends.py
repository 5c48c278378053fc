"""What really comes from a backend when a job fails leads to its class, and to the step that the contract names."""

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access
from gcp_jobs.decision import Action, History, decide
from gcp_jobs.failure import explain, lacking
from gcp_jobs.ladder import applied
from gcp_jobs.logs import tail
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.policy import Policy
from gcp_jobs.template import ExitCode

BACKEND = BatchBackend(Access())
KILLED = {137: ExitCode.model_validate({"means": "killed for want of memory", "class": "out_of_memory"})}
EAT = "import time; hoard = b'x' * 2**28; time.sleep(30)"


@pytest.fixture
def fault(emulator: Any) -> Iterator[Callable[..., None]]:
    """Ask the emulator for a fault; all are gone afterwards."""
    url = f"{emulator.url}/emulator/faults"

    def add(**fields: Any) -> None:
        body = json.dumps({"seed": 1, **fields}).encode()
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST")).close()

    yield add
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()


def job(**changes: Any) -> JobSpec:
    """A job of a machine type that no other test has."""
    values = {
        "name": "ends", "project": "local-project", "region": "europe-west1", "environment": "local",
        "image": "busybox", "command": ["sh", "-c", "sleep 30"], "memory": "512Mi", "provisioning": "spot",
        "machine_type": "n2-standard-2",
    }  # fmt: skip
    return JobSpec.model_validate(values | changes)


def submit(spec: JobSpec) -> JobRef:
    """A run of its own."""
    place = JobRef("batch", spec.project, spec.region, spec.name)
    return BACKEND.submit(RunRequest(place, uuid.uuid4().hex, spec=spec))


@pytest.mark.parametrize(
    ("changes", "shortage", "kind", "action", "next_one"),
    [
        ({}, {"kind": "preempt"}, "preempted", "again", {}),
        ({}, {"kind": "preempt", "code": 50003}, "host_lost", "again", {}),
        ({}, {"kind": "exhaust", "machine_type": "n2-standard-2", "fails": True}, "stock_out", "climb",
         {"provisioning": "standard"}),
        ({}, {"kind": "exhaust", "machine_type": "n2-standard-2", "fails": True, "reason": "QUOTA_EXCEEDED"}, "quota",
         "again", {}),
        ({"command": ["python3", "-c", EAT], "memory": "64Mi"}, None, "out_of_memory",
         "climb", {"memory": "128Mi"}),
        ({"timeout": "1s"}, None, "timed_out", "stop", {}),
        ({"command": ["sh", "-c", "exit 127"]}, None, "image", "stop", {}),
        ({"command": ["sh", "-c", "exit 9"]}, None, "application", "stop", {}),
    ],
)  # fmt: skip
def test_an_end_leads_to_its_class_and_its_next_step(
    fault: Callable[..., None],
    until: Callable[..., Any],
    changes: dict[str, Any],
    shortage: dict[str, Any] | None,
    kind: str,
    action: str,
    next_one: dict[str, Any],
) -> None:
    if shortage:
        fault(**shortage)
    spec = job(**changes)
    ref = submit(spec)
    status: JobStatus = until(lambda: (s := BACKEND.get(ref)).terminal and s)
    assert status.state is JobState.FAILED
    failure = explain(status, BACKEND.exit_info(status), KILLED, tail(ref, Access()))
    assert failure.kind == kind, failure
    history = History.begin(spec, "batch", Policy())
    decision = decide(failure, history, Policy(), spec)
    assert decision.action == Action(action)
    if decision.rung:
        history = history.after(failure, decision)
        assert history.changes(spec) == next_one
        assert applied(spec, next_one).digest != spec.digest or not next_one


def test_a_job_that_is_short_of_machines_says_so_while_it_is_queued(
    fault: Callable[..., None], until: Callable[..., Any]
) -> None:
    fault(kind="exhaust", machine_type="n2-standard-2")
    ref = submit(job())
    failure = until(lambda: lacking(BACKEND.get(ref)))
    assert failure.kind == "stock_out"
    BACKEND.cancel(ref)
