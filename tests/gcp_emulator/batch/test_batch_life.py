"""A job's life with Google's own clients: states in their order, what a topic hears, how it ends."""

import asyncio

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import batch_v1

State = batch_v1.JobStatus.State
TaskState = batch_v1.TaskStatus.State


def states(heard, kind="NewJobState"):
    return [attributes[kind] for attributes in heard if kind in attributes]


def test_a_job_goes_through_its_states_and_says_so(batch):
    """Whoever waits on Pub/Sub hears of every state, in order, with the attributes that Google sends."""
    batch.listen()
    job = batch.run("echo done", group={"task_count": 1})
    heard = batch.heard(7)
    assert states(heard) == ["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"]
    assert states(heard, "NewTaskState") == ["ASSIGNED", "RUNNING", "SUCCEEDED"]
    assert heard[0] == {
        "JobName": job.name, "JobUID": job.uid, "NewJobState": "QUEUED", "Region": "europe-west1",
        "Type": "JOB_STATE_CHANGED",
    }  # fmt: skip
    assert heard[-2] == {
        "JobUID": job.uid, "NewTaskState": "SUCCEEDED", "Region": "europe-west1", "Type": "TASK_STATE_CHANGED",
        "TaskName": f"{job.name}/taskGroups/group0/tasks/0", "TaskUID": f"{job.uid}-group0-0",
    }  # fmt: skip


def test_status_events_use_googles_words_and_the_project_number(batch):
    batch.listen()
    job = batch.run("exit 3")
    name = f"projects/123456789012/locations/europe-west1/jobs/{job.name.rpartition('/')[2]}"
    texts = [event.description for event in job.status.status_events]
    assert texts[:2] == [
        f"Job state is set from QUEUED to SCHEDULED for job {name}.",
        f"Job state is set from SCHEDULED to RUNNING for job {name}.",
    ]
    (task,) = batch.tasks(job)
    failed = task.status.status_events[-1]
    assert failed.type_ == "STATUS_CHANGED"
    assert failed.task_execution.exit_code == 3
    place = failed.description.removeprefix("Task state is updated from RUNNING to FAILED on ").split()[0]
    assert place.startswith("zones/europe-west1-")
    assert failed.description.endswith(" with exit code 3.")
    assert texts[2] == (
        f"Job state is set from RUNNING to FAILED for job {name}.Job failed due to task failure. Specifically, task "
        f'with index 0 failed due to the following task event: "{failed.description}"'
    )


def test_only_the_state_that_was_asked_for_is_notified(batch):
    batch.listen()
    job = batch.job("true")
    job.notifications = [
        {
            "pubsub_topic": batch.topic,
            "message": {"type_": "JOB_STATE_CHANGED", "new_job_state": "SUCCEEDED"},
        },
        {"pubsub_topic": batch.topic, "message": {}},
    ]
    batch.wait(batch.create(job).name)
    assert states(batch.heard(1)) == ["SUCCEEDED"]


def test_a_topic_that_is_missing_stops_no_job_but_shows(batch):
    job = batch.run("true")
    assert job.status.state == State.SUCCEEDED
    warnings = [e.description for e in job.status.status_events if e.type_ == "OPERATIONAL_INFO"]
    assert len(warnings) == 1
    assert f"Failed to publish notifications to {batch.topic}" in warnings[0]


def test_a_finished_job_shows_counts_duration_and_machines(batch):
    job = batch.run("sleep 0.2", group={"task_count": 2})
    group = job.status.task_groups["group0"]
    assert dict(group.counts) == {"SUCCEEDED": 2}
    assert 0.2 <= job.status.run_duration.total_seconds() < 20
    (machine,) = group.instances
    assert (machine.machine_type, machine.task_pack, machine.boot_disk.type_) == (
        "e2-medium",
        1,
        "pd-balanced",
    )


def test_a_created_job_shows_what_batch_fills_in(batch):
    job = batch.create(batch.job("true", group={"task_count": 5}), "filled")
    group = job.task_groups[0]
    assert job.name == f"{batch.cloud.parent}/jobs/filled"
    assert job.uid.startswith("filled-")
    assert group.name == f"{job.name}/taskGroups/group0"
    assert (group.task_count, group.parallelism) == (5, 5)
    resource = group.task_spec.compute_resource
    assert (resource.cpu_milli, resource.memory_mib) == (2000, 2000)
    assert job.allocation_policy.location.allowed_locations == ["regions/europe-west1"]
    assert job.allocation_policy.service_account.email == "123456789012-compute@developer.gserviceaccount.com"


def test_cancelling_stops_the_job_and_ends_its_operation(batch, tmp_path):
    batch.listen()
    job = batch.create(
        batch.job(f"touch {tmp_path}/started; sleep 60", group={"task_count": 2, "parallelism": 1})
    )
    batch.wait(job.name, State.RUNNING)
    operation = batch.client.cancel_job(name=job.name)
    assert (operation.metadata.target, operation.metadata.verb) == (job.name, "cancel")
    assert batch.client.get_job(name=job.name).status.state == State.CANCELLATION_IN_PROGRESS
    operation.result(30)
    job = batch.client.get_job(name=job.name)
    assert job.status.state == State.CANCELLED
    assert [task.status.state for task in batch.tasks(job)] == [TaskState.FAILED, TaskState.UNEXECUTED]
    assert states(batch.heard(9))[-2:] == ["CANCELLATION_IN_PROGRESS", "CANCELLED"]
    with pytest.raises(exceptions.FailedPrecondition, match="its state is CANCELLED"):
        batch.client.cancel_job(name=job.name)


def test_a_job_can_be_cancelled_before_it_runs(batch):
    job = batch.create(batch.job("true"))
    batch.client.cancel_job(name=job.name).result(30)
    assert batch.client.get_job(name=job.name).status.state == State.CANCELLED
    assert [task.status.state for task in batch.tasks(job)] == [TaskState.UNEXECUTED]


@pytest.mark.parametrize("ended", [True, False])
def test_deleting_removes_a_job_and_its_tasks(batch, ended):
    batch.listen()
    job = batch.create(batch.job("true" if ended else "sleep 60"))
    batch.wait(job.name, State.SUCCEEDED if ended else State.RUNNING)
    operation = batch.client.delete_job(name=job.name)
    assert batch.client.get_job(name=job.name).status.state == State.DELETION_IN_PROGRESS
    operation.result(30)
    with pytest.raises(exceptions.NotFound, match=f"Resource '{job.name}' was not found"):
        batch.client.get_job(name=job.name)
    with pytest.raises(exceptions.NotFound):
        batch.tasks(job)
    again = batch.create(batch.job("true"), job.name.rpartition("/")[2])
    assert again.uid != job.uid


def test_an_id_is_taken_once_and_a_request_id_acts_once(batch):
    job = batch.job("true")
    first = batch.create(job, "taken")
    with pytest.raises(exceptions.AlreadyExists, match=f"Resource '{first.name}' already exists"):
        batch.create(job, "taken")
    request = {"parent": batch.cloud.parent, "job": job, "request_id": "9a3ac1f0-7b6d-4c2e-8a53-1f0e6b1b0a11"}
    made = batch.client.create_job(request)
    assert batch.client.create_job(request).uid == made.uid
    with pytest.raises(exceptions.InvalidArgument, match="request_id"):
        batch.client.create_job({**request, "request_id": "once"})
    cancel = {"name": batch.create(batch.job("sleep 60")).name, "request_id": request["request_id"]}
    operation = batch.client.cancel_job(cancel)
    assert batch.client.cancel_job(cancel).operation.name == operation.operation.name
    operation.result(30)


@pytest.mark.parametrize(
    ("policies", "count", "codes"),
    [
        ([], 2, [7, 7, 7]),
        ([{"action": "RETRY_TASK", "action_condition": {"exit_codes": [7]}}], 1, [7, 7]),
        ([{"action": "RETRY_TASK", "action_condition": {"exit_codes": [8]}}], 1, [7]),
        ([{"action": "FAIL_TASK", "action_condition": {"exit_codes": [7]}}], 3, [7]),
        ([{"action": "FAIL_TASK", "action_condition": {"exit_codes": [8]}}], 1, [7, 7]),
    ],
    ids=["any", "listed", "not listed", "fails when listed", "retries the rest"],
)
def test_the_lifecycle_policy_decides_about_retries(batch, policies, count, codes):
    job = batch.run("exit 7", max_retry_count=count, lifecycle_policies=policies)
    assert job.status.state == State.FAILED
    assert batch.exit_codes(job) == codes


def test_a_retry_can_succeed_and_leaves_no_exit_code(batch):
    job = batch.run("test $BATCH_TASK_RETRY_ATTEMPT = 2", max_retry_count=2)
    assert job.status.state == State.SUCCEEDED
    assert batch.exit_codes(job) == [1, 1]
    (task,) = batch.tasks(job)
    assert task.status.state == TaskState.SUCCEEDED
    assert not task.status.status_events[-1].task_execution


def test_a_task_over_its_run_time_ends_with_50005(batch):
    job = batch.run("sleep 60", max_run_duration={"seconds": 0, "nanos": 200_000_000})
    assert batch.exit_codes(job) == [50005]
    assert (
        "due to task runs over the maximum runtime with exit code 50005"
        in job.status.status_events[-1].description
    )


def test_after_a_failure_no_further_task_begins(batch):
    job = batch.run("exit 1", group={"task_count": 3, "parallelism": 1})
    assert [task.status.state for task in batch.tasks(job)] == [4, 6, 6]
    assert dict(job.status.task_groups["group0"].counts) == {"FAILED": 1, "UNEXECUTED": 2}
    task = batch.client.get_task(name=f"{job.name}/taskGroups/group0/tasks/2")
    assert task.status.state == TaskState.UNEXECUTED
    with pytest.raises(exceptions.NotFound):
        batch.client.get_task(name=f"{job.name}/taskGroups/group0/tasks/3")


def test_rest_serves_the_same_jobs(batch):
    """gcloud and whoever writes HTTP by hand."""
    rest = batch.cloud.client(batch_v1.BatchServiceClient, "rest")
    job = rest.create_job(parent=batch.cloud.parent, job=batch.job("true"), job_id="by-rest")
    assert [j.name for j in rest.list_jobs(parent=batch.cloud.parent)] == [job.name]
    job = batch.wait(job.name)
    assert len(list(rest.list_tasks(parent=f"{job.name}/taskGroups/group0"))) == 1
    assert rest.get_job(name=job.name).status.state == State.SUCCEEDED
    rest.delete_job(name=job.name).result(30)
    with batch.cloud.http() as http:
        shown = http.get(f"/v1/{job.name}")
        operations = http.get(f"/v1/{batch.cloud.parent}/operations").json()["operations"]
    assert (shown.status_code, shown.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert operations[0]["metadata"]["verb"] == "delete"


def test_rest_takes_and_gives_the_names_of_googles_json(batch):
    body = {
        "taskGroups": [
            {"taskSpec": {"runnables": [{"script": {"text": "exit 2"}}], "maxRunDuration": "30s"}}
        ],
        "notifications": [{"pubsubTopic": batch.topic, "message": {"type": "JOB_STATE_CHANGED"}}],
        "allocationPolicy": {"instances": [{"policy": {"bootDisk": {"type": "pd-ssd", "sizeGb": "50"}}}]},
    }
    with batch.cloud.http() as http:
        made = http.post(f"/v1/{batch.cloud.parent}/jobs?job_id=json", json=body).json()
        batch.wait(made["name"])
        job = http.get(f"/v1/{made['name']}").json()
        refused = http.post(f"/v1/{batch.cloud.parent}/jobs", json={"taskGroup": []})
    assert job["notifications"] == body["notifications"]
    assert job["allocationPolicy"]["instances"] == body["allocationPolicy"]["instances"]
    assert job["status"]["state"] == "FAILED"
    assert job["status"]["statusEvents"][-1]["type"] == "STATUS_CHANGED"
    assert job["status"]["taskGroups"]["group0"]["counts"] == {"FAILED": "1"}
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_async_client_too(batch):
    async def life():
        async with grpc.aio.insecure_channel(batch.cloud.ready["grpc"]) as channel:
            transport = batch_v1.BatchServiceAsyncClient.get_transport_class("grpc_asyncio")(channel=channel)
            client = batch_v1.BatchServiceAsyncClient(transport=transport)
            job = await client.create_job(parent=batch.cloud.parent, job=batch.job("sleep 60"), job_id="loop")
            assert [j.name async for j in await client.list_jobs(parent=batch.cloud.parent)] == [job.name]
            await (await client.cancel_job(name=job.name)).result(30)
            return (await client.get_job(name=job.name)).status.state

    assert asyncio.run(life()) == State.CANCELLED
