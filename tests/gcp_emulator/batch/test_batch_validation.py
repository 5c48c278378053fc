"""What CreateJob refuses, with the field that is wrong in the message."""

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1

SCRIPT = {"script": {"text": "true"}}


def job(**changes):
    """A valid job with some fields of job, group (`group__`) or spec (`spec__`) set."""
    parts = {"": {}, "group": {}, "spec": {"runnables": [SCRIPT]}}
    for name, value in changes.items():
        part, _, field = name.rpartition("__")
        parts[part][field] = value
    groups = [{"task_spec": parts["spec"], **parts["group"]}]
    return batch_v1.Job({"task_groups": groups, **parts[""]})


def notification(**message):
    return [{"pubsub_topic": "projects/p/topics/t", "message": message}]


def runnable(**fields):
    return {"spec__runnables": [{**SCRIPT, **fields}]}


BAD = {
    "no task group": ({"task_groups": []}, "task_groups"),
    "two task groups": ({"task_groups": [{"task_spec": {"runnables": [SCRIPT]}}] * 2}, "task_groups"),
    "no runnables": ({"spec__runnables": []}, "runnables"),
    "an empty runnable": ({"spec__runnables": [{"display_name": "x"}]}, "a container, a script or a barrier"),
    "a script without text": ({"spec__runnables": [{"script": {}}]}, "script"),
    "an image that is none": ({"spec__runnables": [{"container": {"image_uri": "No Image"}}]}, "image_uri"),
    "only background": (runnable(background=True), "background"),
    "too many tasks": ({"group__task_count": 100_001}, "task_count"),
    "negative tasks": ({"group__task_count": -1}, "task_count"),
    "too parallel": ({"group__parallelism": 5_001}, "parallelism"),
    "in order and parallel": ({"group__scheduling_policy": 2, "group__parallelism": 2}, "IN_ORDER"),
    "count and environments": ({"group__task_count": 3, "group__task_environments": [{}, {}]}, "task_environments"),
    "too many retries": ({"spec__max_retry_count": 11}, "max_retry_count"),
    "a run time of zero": ({"spec__max_run_duration": {"seconds": 0}}, "max_run_duration"),
    "a negative run time": ({"spec__max_run_duration": {"seconds": -5}}, "max_run_duration"),
    "a time-out of zero": (runnable(timeout={"seconds": 0}), "timeout"),
    "negative memory": ({"spec__compute_resource": {"memory_mib": -1}}, "memory_mib"),
    "two policies": (
        {"spec__lifecycle_policies": [{"action": 1, "action_condition": {"exit_codes": [1]}}] * 2},
        "lifecycle_policies",
    ),
    "a policy without codes": ({"spec__lifecycle_policies": [{"action": 1}]}, "lifecycle_policies"),
    "another region": ({"allocation_policy": {"location": {"allowed_locations": ["regions/us-central1"]}}}, "region"),
    "a zone elsewhere": ({"allocation_policy": {"location": {"allowed_locations": ["zones/us-east1-b"]}}}, "zone"),
    "an account that is none": ({"allocation_policy": {"service_account": {"email": "me"}}}, "e-mail"),
    "too many labels": ({"labels": {f"l{n}": "" for n in range(65)}}, "64"),
    "a label in capitals": ({"labels": {"Team": "x"}}, "labels"),
    "a reserved label": ({"labels": {"goog-x": "x"}}, "reserved"),
    "a priority too high": ({"priority": 100}, "priority"),
    "a topic that is none": ({"notifications": [{"pubsub_topic": "t"}]}, "pubsub_topic"),
    "job and task level": ({"notifications": notification(type_=1, new_task_state=5)}, "not both"),
    "a variable's name": (runnable(environment={"variables": {"A-B": "x"}}), "A-B"),
    "a short secret": (runnable(environment={"secret_variables": {"A": "key"}}), "secret_variables"),
    "KMS": (runnable(environment={"encrypted_variables": {"cipher_text": "x"}}), "secret_variables"),
    "a volume without source": ({"spec__volumes": [{"mount_path": "/x"}]}, "source"),
    "a relative mount": ({"spec__volumes": [{"gcs": {"remote_path": "bucket"}, "mount_path": "x"}]}, "mount_path"),
    "a way out": ({"spec__volumes": [{"gcs": {"remote_path": "bucket/../../x"}, "mount_path": "/x"}]}, r"\.\."),
    "logs at no path": ({"logs_policy": {"destination": 2}}, "logs_path"),
    "more than 1 MB": ({"spec__runnables": [{"script": {"text": "x" * 1024 * 1024}}]}, "1 MB"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_a_wrong_job_is_refused(batch, changes, said):
    """On Google it would be, too: a template that passes here must pass there."""
    with pytest.raises(exceptions.InvalidArgument, match=said):
        batch.create(job(**changes))


@pytest.mark.parametrize("job_id", ["Upper", "1st", "ends-", "a" * 64, "ä", "a_b"])
def test_a_wrong_id_is_refused(batch, job_id):
    with pytest.raises(exceptions.InvalidArgument, match="job_id"):
        batch.create(job(), job_id)


def test_names_that_are_none_are_refused(batch):
    with pytest.raises(exceptions.InvalidArgument, match="parent"):
        batch.client.create_job(parent="projects/p", job=job())
    with pytest.raises(exceptions.InvalidArgument, match="not the name of a job"):
        batch.client.get_job(name="jobs/x")
    with pytest.raises(exceptions.InvalidArgument, match="parent"):
        list(batch.client.list_tasks(parent=f"{batch.cloud.parent}/jobs/x"))


def test_an_empty_id_gives_one(batch):
    assert batch.create(job()).name.startswith(f"{batch.cloud.parent}/jobs/j-")


def test_zones_of_the_region_are_taken(batch):
    zones = ["zones/europe-west1-b", "zones/europe-west1-d"]
    made = batch.create(job(allocation_policy={"location": {"allowed_locations": zones}}))
    assert made.allocation_policy.location.allowed_locations == zones
