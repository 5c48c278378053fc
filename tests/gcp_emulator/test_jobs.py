"""Job definitions through the real client: what Cloud Run fills in, keeps and refuses."""

import pytest
from google.api_core import exceptions
from google.cloud import run_v2


def test_a_created_job_shows_cloud_runs_defaults(cloud):
    job = cloud.create_job("shown", "say=hi")
    task = job.template.template
    assert job.name == f"{cloud.parent}/jobs/shown"
    assert (job.generation, job.observed_generation, job.execution_count) == (1, 1, 0)
    assert job.terminal_condition.type_ == "Ready"
    assert job.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert job.uid
    assert job.etag
    assert not job.reconciling
    assert job.template.task_count == 1
    assert task.timeout.total_seconds() == 600
    assert dict(task.containers[0].resources.limits) == {"cpu": "1000m", "memory": "512Mi"}
    assert cloud.jobs().get_job(name=job.name) == job


def test_retries_default_to_three_as_on_cloud_run(cloud):
    job = cloud.worker_job("say=hi")
    del job.template.template.max_retries
    made = cloud.jobs().create_job(parent=cloud.parent, job_id="retries", job=job).result(30)
    assert made.template.template.max_retries == 3


def test_the_caller_becomes_creator_and_is_counted(cloud):
    jobs = cloud.jobs(identity="deployer@test.iam.gserviceaccount.com")
    job = jobs.create_job(parent=cloud.parent, job_id="mine", job=cloud.worker_job()).result(30)
    assert job.creator == job.last_modifier == "deployer@test.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    "job_id", ["", "Upper", "1digit", "under_score", "ends-", "a" * 64, "-starts", "ümlaut", "a/b"]
)
def test_bad_job_names_are_refused(cloud, job_id):
    with pytest.raises(exceptions.InvalidArgument, match="job_id"):
        cloud.jobs().create_job(parent=cloud.parent, job_id=job_id, job=cloud.worker_job())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task_count": 10_001}, "task_count"),
        ({"task_count": -1}, "task_count"),
        ({"parallelism": -1}, "parallelism"),
        ({"max_retries": 11}, "max_retries"),
        ({"timeout": "604801s"}, "timeout"),
        ({"timeout": "0s"}, "timeout"),
        ({"containers": []}, "containers"),
        ({"containers": [{"image": ""}]}, "image"),
        ({"containers": [{"image": "not an image"}]}, "image"),
        ({"containers": [{"image": "a"}, {"image": "b"}]}, "name"),
        ({"containers": [{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]}, "more than once"),
        (
            {"containers": [{"name": "a", "image": "a", "depends_on": ["c"]}, {"name": "b", "image": "b"}]},
            "'c'",
        ),
        (
            {
                "containers": [
                    {"name": "a", "image": "a", "depends_on": ["b"]},
                    {"name": "b", "image": "b", "depends_on": ["a"]},
                ]
            },
            "cycle",
        ),
        ({"container": {"resources": {"limits": {"memory": "64Mi"}}}}, "between 512Mi and 4Gi"),
        ({"container": {"resources": {"limits": {"memory": "5Gi"}}}}, "between 512Mi and 4Gi"),
        ({"container": {"resources": {"limits": {"cpu": "3"}}}}, "cpu"),
        ({"container": {"resources": {"limits": {"memory": "lots"}}}}, "memory"),
        ({"container": {"env": [{"name": "CLOUD_RUN_JOB", "value": "x"}]}}, "reserved"),
        ({"container": {"env": [{"name": "", "value": "x"}]}}, "env"),
        ({"container": {"env": [{"name": "A", "value_source": {"secret_key_ref": {}}}]}}, "secret"),
        ({"container": {"volume_mounts": [{"name": "v", "mount_path": "/v"}]}}, "volume"),
        ({"volumes": [{"name": "v"}]}, "source"),
        ({"volumes": [{"name": "v", "gcs": {"bucket": "../../etc"}}]}, "bucket"),
        ({"volumes": [{"name": "v", "nfs": {"server": "10.0.0.1", "path": "/a/../../b"}}]}, "path"),
        ({"volumes": [{"name": "v", "secret": {"secret": "s", "items": [{"path": "../x"}]}}]}, "path"),
        ({"volumes": [{"name": "v", "empty_dir": {}}, {"name": "v", "empty_dir": {}}]}, "name"),
    ],
)
def test_what_cloud_run_refuses_is_refused_with_the_field(cloud, change, field):
    with pytest.raises(exceptions.InvalidArgument) as refusal:
        cloud.create_job("refused", **change)
    assert field in refusal.value.message


def test_system_labels_are_refused(cloud):
    job = cloud.worker_job()
    job.labels["run.googleapis.com/x"] = "y"
    with pytest.raises(exceptions.InvalidArgument, match="labels"):
        cloud.jobs().create_job(parent=cloud.parent, job_id="labelled", job=job)


def test_a_second_create_is_refused(cloud):
    cloud.create_job("twice")
    with pytest.raises(exceptions.AlreadyExists, match="'twice' already exists"):
        cloud.create_job("twice")


def test_an_unknown_image_fails_the_operation_and_says_which_folder_to_add(cloud, images):
    with pytest.raises(exceptions.NotFound, match="Image 'x/no-such:1' not found") as failure:
        cloud.create_job("imageless", container={"image": "x/no-such:1"})
    assert str(images / "no_such") in failure.value.message
    job = cloud.jobs().get_job(name=f"{cloud.parent}/jobs/imageless")
    assert job.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert job.terminal_condition.reason == run_v2.Condition.CommonReason.CONTAINER_MISSING


def test_a_new_image_folder_needs_nothing_but_itself(cloud, images):
    """Adding an image is adding a folder: the running emulator finds it, and runs it as its Dockerfile says."""
    name = f"added-{cloud.project}"
    folder = images / name.replace("-", "_")
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        'FROM debian\nENV WHO=world\nENTRYPOINT ["sh", "-c"]\nCMD ["echo hello $WHO"]\n'
    )
    execution = cloud.run(cloud.create_job("added", container={"image": f"x/{name}"}))
    assert execution.succeeded_count == 1
    assert cloud.lines(execution) == ["hello world"]


@pytest.mark.parametrize("method", ["get_job", "delete_job", "run_job"])
def test_an_unknown_job_is_not_found(cloud, method):
    with pytest.raises(exceptions.NotFound, match="Resource 'nowhere' of kind 'JOB'"):
        getattr(cloud.jobs(), method)(name=f"{cloud.parent}/jobs/nowhere")


def test_jobs_are_listed_newest_first_in_pages(cloud):
    for number in range(5):
        cloud.create_job(f"job-{number}")
    pages = list(cloud.jobs().list_jobs(request={"parent": cloud.parent, "page_size": 2}).pages)
    assert [[cloud.short(job.name) for job in page.jobs] for page in pages] == [
        ["job-4", "job-3"],
        ["job-2", "job-1"],
        ["job-0"],
    ]
    with pytest.raises(exceptions.InvalidArgument, match="page_token"):
        cloud.jobs().list_jobs(request={"parent": cloud.parent, "page_token": "made-up"})


def test_an_update_moves_the_generation_only_when_something_differs(cloud):
    job = cloud.create_job("updated", "say=1")
    same = cloud.jobs().update_job(job=job).result(30)
    assert (same.generation, same.etag) == (1, job.etag)
    job.template.template.containers[0].args = ["say=2"]
    changed = cloud.jobs().update_job(job=job).result(30)
    assert (changed.generation, changed.observed_generation) == (2, 2)
    assert changed.etag != job.etag
    assert changed.uid == job.uid
    assert list(changed.template.template.containers[0].args) == ["say=2"]


def test_an_update_with_an_old_etag_is_refused(cloud):
    job = cloud.create_job("raced", "say=1")
    fresh = cloud.worker_job("say=2")
    fresh.name = job.name
    cloud.jobs().update_job(job=fresh).result(30)
    with pytest.raises(exceptions.Aborted, match="etag"):
        cloud.jobs().update_job(job=job)


def test_an_update_of_a_missing_job_creates_it_only_when_allowed(cloud):
    job = cloud.worker_job("say=1")
    job.name = f"{cloud.parent}/jobs/made-by-update"
    with pytest.raises(exceptions.NotFound):
        cloud.jobs().update_job(job=job)
    made = cloud.jobs().update_job(request={"job": job, "allow_missing": True}).result(30)
    assert (made.name, made.generation) == (job.name, 1)


def test_validate_only_changes_nothing(cloud):
    request = {"parent": cloud.parent, "job_id": "dry", "job": cloud.worker_job(), "validate_only": True}
    assert cloud.jobs().create_job(request).result(30).template.task_count == 1
    with pytest.raises(exceptions.NotFound):
        cloud.jobs().get_job(name=f"{cloud.parent}/jobs/dry")


def test_a_deleted_job_cannot_be_run_and_its_name_is_free(cloud):
    job = cloud.create_job("gone")
    deleted = cloud.jobs().delete_job(name=job.name).result(30)
    assert deleted.delete_time
    assert deleted.expire_time > deleted.delete_time
    with pytest.raises(exceptions.NotFound):
        cloud.jobs().run_job(name=job.name)
    assert [j.name for j in cloud.jobs().list_jobs(parent=cloud.parent)] == []
    shown = cloud.jobs().list_jobs(request={"parent": cloud.parent, "show_deleted": True})
    assert [j.uid for j in shown] == [job.uid]
    assert cloud.create_job("gone").uid != job.uid


def test_a_token_names_the_execution_beforehand(cloud):
    """Google's only idempotent start: the same token never starts a second execution."""
    job = cloud.worker_job("say=started")
    job.start_execution_token = "key1"
    made = cloud.jobs().create_job(parent=cloud.parent, job_id="tokened", job=job).result(30)
    name = f"{made.name}/executions/tokened-key1"
    assert cloud.executions().get_execution(name=name).name == name
    made.labels["touched"] = "yes"
    cloud.jobs().update_job(job=made).result(30)
    assert len(list(cloud.executions().list_executions(parent=made.name))) == 1


def test_an_execution_started_otherwise_drops_the_token_which_cannot_come_again(cloud):
    """Seen on the real API: github.com/GoogleCloudPlatform/magic-modules, pull request 19060."""
    job = cloud.worker_job("say=started")
    job.start_execution_token = "key1"
    made = cloud.jobs().create_job(parent=cloud.parent, job_id="tokened", job=job).result(30)
    assert cloud.jobs().get_job(name=made.name).start_execution_token == "key1"
    cloud.jobs().run_job(name=made.name).result(30)
    found = cloud.jobs().get_job(name=made.name)
    assert not found.start_execution_token
    found.start_execution_token = "key1"
    with pytest.raises(exceptions.AlreadyExists, match="Resource 'tokened-key1' already exists"):
        cloud.jobs().update_job(job=found)
    found.start_execution_token = "key2"
    updated = cloud.jobs().update_job(job=found).result(30)
    assert updated.latest_created_execution.name == "tokened-key2"
    assert len(list(cloud.executions().list_executions(parent=made.name))) == 3


def test_a_run_token_makes_the_operation_wait_for_the_execution(cloud):
    job = cloud.worker_job("say=ran")
    job.run_execution_token = "key1"
    made = cloud.jobs().create_job(parent=cloud.parent, job_id="waited", job=job).result(30)
    assert made.latest_created_execution.completion_status.name == "EXECUTION_SUCCEEDED"
