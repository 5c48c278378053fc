"""Messages -> events: whatever comes is read or counted, never raised, and no end of a job is overlooked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.events import GOING_ON, Kind, key_of, parse
from gcp_jobs.model import TERMINAL, JobRef, JobState

NAME = "projects/p/locations/europe-west1/jobs/j-1"
BATCH = JobRef("batch", "p", "europe-west1", "j-1", uid="j-1-uid")
NOTIFICATION = {"JobName": NAME, "JobUID": "j-1-uid", "NewJobState": "SUCCEEDED", "Region": "europe-west1",
                "Type": "JOB_STATE_CHANGED"}  # fmt: skip
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["JobName", "JobUID", "NewJobState", "NewTaskState", "TaskName", "Type", "protoPayload", "response", "metadata",
     "name", "status", "conditions", "type", "labels", "resourceName"]
)  # fmt: skip


def completion(**condition: str) -> dict[str, Any]:
    return {
        "protoPayload": {
            "methodName": "/Jobs.RunJob",
            "resourceName": "namespaces/p/executions/load-x7k2p",
            "response": {
                "metadata": {"name": "load-x7k2p"},
                "status": {
                    "conditions": [{"type": "Started", "status": "True"}, {"type": "Completed", **condition}]
                },
            },
        },
        "resource": {"type": "cloud_run_job", "labels": {"job_name": "load", "location": "europe-west1"}},
    }


def test_a_batch_notification_finds_the_job_by_uid_and_by_name() -> None:
    event = parse(NOTIFICATION, b"Job state is set from RUNNING to SUCCEEDED")
    assert event
    assert event.keys == ("j-1-uid", "europe-west1/j-1")
    assert (event.kind, event.state, event.ends, event.wakes) == (Kind.JOB, "SUCCEEDED", True, True)
    assert key_of(BATCH) in event.keys
    assert key_of(JobRef("batch", "p", "europe-west1", "j-1")) in event.keys


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({}, json.dumps(NOTIFICATION).encode()),
        ({}, json.dumps({"jobName": NAME, "jobUid": "j-1-uid", "newJobState": "SUCCEEDED"}).encode()),
        ({"job_uid": "j-1-uid", "new_job_state": "succeeded"}, b"\xff plain"),
        ({"JobUID": "j-1-uid"}, b'{"NewJobState": "SUCCEEDED", "extra": {"deep": [1]}}'),
    ],
    ids=["json body", "camel case", "snake case", "half and half"],
)
def test_the_fields_are_found_wherever_and_however_they_are_written(
    attributes: dict[str, str], data: bytes
) -> None:
    event = parse(attributes, data)
    assert event
    assert event.keys[0] == "j-1-uid"
    assert (event.kind, event.ends) == (Kind.JOB, True)


def test_a_tasks_end_is_not_the_jobs() -> None:
    event = parse({"JobUID": "j-1-uid", "NewTaskState": "FAILED", "TaskName": f"{NAME}/taskGroups/group0/tasks/3",
                   "Type": "TASK_STATE_CHANGED"})  # fmt: skip
    assert event
    assert (event.kind, event.state, event.ends, event.wakes) == (Kind.TASK, "FAILED", False, False)
    assert event.task.endswith("/tasks/3")
    assert "europe-west1/j-1" in event.keys


@pytest.mark.parametrize("state", sorted(GOING_ON))
def test_states_in_which_a_job_goes_on_wake_nobody(state: str) -> None:
    event = parse({**NOTIFICATION, "NewJobState": state})
    assert event
    assert not event.wakes


@pytest.mark.parametrize("said", [{"Type": "JOB_PAUSED"}, {"NewJobState": "PAUSED"}, {"NewJobState": ""}])
def test_kinds_and_states_that_google_may_add_are_kept_and_worth_one_read(said: dict[str, str]) -> None:
    event = parse({**NOTIFICATION, "NewJobState": "NOVEL", **said})
    assert event
    assert event.wakes
    assert not event.ends
    assert event.said == said.get("Type", "JOB_STATE_CHANGED")


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ({"status": "True"}, "SUCCEEDED"),
        ({"status": "False", "reason": "NonZeroExitCode"}, "FAILED"),
        ({"status": "False", "reason": "Cancelled"}, "CANCELLED"),
        ({"status": "Unknown"}, ""),
    ],
)
def test_cloud_runs_completion_entry_names_execution_and_outcome(
    condition: dict[str, str], state: str
) -> None:
    event = parse({"logging.googleapis.com/timestamp": "x"}, json.dumps(completion(**condition)).encode())
    assert event
    assert (event.kind, event.keys, event.state) == (Kind.EXECUTION, ("load-x7k2p",), state)
    assert event.wakes
    assert event.keys[0] == key_of(JobRef("cloud_run", "p", "europe-west1", "load", "load-x7k2p"))


@pytest.mark.parametrize("missing", ["response", "resourceName"])
def test_one_place_for_the_executions_name_is_enough(missing: str) -> None:
    entry = completion(status="True")
    del entry["protoPayload"][missing]
    event = parse({}, json.dumps(entry).encode())
    assert event
    assert event.keys == ("load-x7k2p",)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xfe", b"[1, 2]", b'{"a": ', b'{"a":' * 100_000])
def test_what_names_no_job_is_garbage(data: bytes) -> None:
    assert parse({"Region": "europe-west1"}, data) is None


@given(st.dictionaries(NAMES | st.text(max_size=8), st.text(max_size=12), max_size=6), st.binary(max_size=40))
def test_no_message_raises(attributes: dict[str, str], data: bytes) -> None:
    event = parse(attributes, data)
    assert event is None or all(event.keys)


@given(st.dictionaries(NAMES, ANY_JSON, max_size=6))
def test_no_json_body_raises(body: dict[str, Any]) -> None:
    event = parse({}, json.dumps(body).encode())
    assert event is None or (event.keys and all(isinstance(key, str) and key for key in event.keys))


@given(st.sampled_from(sorted(JobState)), st.booleans())
def test_every_end_wakes_and_what_wakes_is_no_known_going_on(state: JobState, in_body: bool) -> None:
    said = {**NOTIFICATION, "NewJobState": str(state)}
    event = parse({}, json.dumps(said).encode()) if in_body else parse(said)
    assert event
    assert event.ends == (state in TERMINAL)
    assert event.wakes == (state not in GOING_ON)
