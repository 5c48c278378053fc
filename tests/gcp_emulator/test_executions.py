"""Runs of jobs through the real client: states, counts, retries, limits, cancel, delete."""

import json

import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.longrunning import operations_pb2

State = run_v2.Condition.State
Reason = run_v2.Condition.ExecutionReason


def completed(resource):
    return next(condition for condition in resource.conditions if condition.type_ == "Completed")


def wait_operation(jobs, request):
    """The generated client forgets to read the answer of WaitOperation: it hands out bytes."""
    answer = jobs.wait_operation(request)
    return operations_pb2.Operation.FromString(answer) if isinstance(answer, bytes) else answer


def wait_until(cloud, name, holds):
    """Poll as a client would until the execution fulfils a condition; the test's timeout bounds it."""
    executions = cloud.executions()
    while True:
        execution = executions.get_execution(name=name)
        if holds(execution):
            return execution


def test_a_run_goes_from_waiting_to_succeeded(cloud, tmp_path):
    job = cloud.create_job("good", f"await={tmp_path}/go", "say=done")
    operation = cloud.jobs().run_job(name=job.name)
    execution = operation.metadata
    assert not operation.done()
    assert completed(execution).state == State.CONDITION_PENDING
    assert (execution.job, execution.task_count, execution.parallelism) == ("good", 1, 1)
    assert execution.log_uri.startswith("https://console.cloud.google.com/logs/")
    running = wait_until(cloud, execution.name, lambda e: e.running_count == 1)
    assert running.start_time
    assert running.reconciling
    assert completed(running).state == State.CONDITION_RECONCILING
    assert (
        cloud.jobs().get_job(name=job.name).latest_created_execution.completion_status.name
        == "EXECUTION_RUNNING"
    )
    (tmp_path / "go").touch()
    result = operation.result(30)
    assert (result.succeeded_count, result.running_count, result.failed_count) == (1, 0, 0)
    assert completed(result).state == State.CONDITION_SUCCEEDED
    assert result.completion_time >= result.start_time >= result.create_time
    assert (result.generation, result.observed_generation, result.reconciling) == (1, 1, False)
    assert cloud.executions().get_execution(name=result.name) == result
    job = cloud.jobs().get_job(name=job.name)
    assert job.execution_count == 1
    assert job.latest_created_execution.name == cloud.short(result.name)
    assert job.latest_created_execution.completion_status.name == "EXECUTION_SUCCEEDED"
    assert cloud.lines(result) == ["done"]


def test_a_task_sees_only_what_the_job_defines(cloud, monkeypatch):
    """A variable of the laptop must not leak into a job that would not have it on Google."""
    job = cloud.create_job(
        "env",
        "env",
        container={
            "env": [{"name": "MINE", "value": "1"}, {"name": "STORAGE_EMULATOR_HOST", "value": "http://mine"}]
        },
        service_account="sa@x.iam",
        task_count=2,
    )
    execution = cloud.run(job)
    entries = cloud.logging().list_log_entries(
        resource_names=[f"projects/{cloud.project}"], filter="jsonPayload.CLOUD_RUN_TASK_INDEX=1"
    )
    seen = dict(next(iter(entries)).json_payload)
    assert seen["CLOUD_RUN_JOB"] == "env"
    assert seen["CLOUD_RUN_EXECUTION"] == cloud.short(execution.name)
    assert seen["CLOUD_RUN_TASK_COUNT"] == "2"
    assert seen["CLOUD_RUN_TASK_ATTEMPT"] == "0"
    assert seen["MINE"] == "1"
    assert "AIRFLOW_HOME" not in seen
    assert seen["BIGQUERY_EMULATOR_HOST"] == cloud.ready["rest"], (
        "a job's Google clients must find the emulator"
    )
    assert seen["STORAGE_EMULATOR_HOST"] == "http://mine", "what a job sets itself must win"


def test_a_run_overrides_arguments_variables_tasks_and_timeout(cloud):
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    job = cloud.create_job("over", "exit=1", container={"env": variables})
    override = {"args": ["env"], "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}
    execution = cloud.run(job, container_overrides=[override], task_count=2, timeout="30s")
    assert (execution.task_count, execution.succeeded_count) == (2, 2)
    assert execution.template.timeout.total_seconds() == 30
    kept = {variable.name: variable.value for variable in execution.template.containers[0].env}
    assert kept == {"A": "1", "B": "3", "C": "4"}
    assert list(cloud.jobs().get_job(name=job.name).template.template.containers[0].args) == ["exit=1"]


def test_clear_args_leaves_the_images_own(cloud):
    job = cloud.create_job("cleared", "exit=1")
    assert cloud.run(job, container_overrides=[{"clear_args": True}]).succeeded_count == 1


def test_an_override_for_no_container_is_refused(cloud):
    job = cloud.create_job("named", container={"name": "main"})
    with pytest.raises(exceptions.InvalidArgument, match="'other'"):
        cloud.run(job, container_overrides=[{"name": "other", "args": ["say=x"]}])


def test_a_failed_task_fails_the_operation_with_its_exit_code(cloud):
    job = cloud.create_job("bad", "complain=broken", "exit=3")
    operation = cloud.jobs().run_job(name=job.name)
    with pytest.raises(
        exceptions.Aborted, match="failed with exit code: 3 and message: The container exited"
    ):
        operation.result(30)
    execution = cloud.executions().get_execution(name=operation.metadata.name)
    assert (execution.failed_count, execution.succeeded_count) == (1, 0)
    assert completed(execution).state == State.CONDITION_FAILED
    assert completed(execution).execution_reason == Reason.NON_ZERO_EXIT_CODE
    (task,) = cloud.tasks().list_tasks(parent=execution.name)
    assert task.last_attempt_result.exit_code == 3
    assert task.last_attempt_result.status.code == 10
    assert completed(task).state == State.CONDITION_FAILED
    assert cloud.lines(execution) == ["broken"]


def test_a_task_is_retried_as_often_as_allowed(cloud):
    job = cloud.create_job("retried", "fail-before=2", max_retries=2)
    execution = cloud.run(job)
    (task,) = cloud.tasks().list_tasks(parent=execution.name)
    assert (execution.succeeded_count, execution.retried_count) == (1, 1)
    assert (task.retried, task.last_attempt_result.exit_code) == (2, 0)
    once_less = cloud.run(cloud.create_job("retried-less", "fail-before=2", max_retries=1))
    assert (once_less.failed_count, once_less.retried_count) == (1, 1)


def test_one_failed_task_of_many_fails_the_run_and_lets_the_others_end(cloud):
    execution = cloud.run(cloud.create_job("many", "fail-task=1", task_count=4, parallelism=2))
    assert (execution.succeeded_count, execution.failed_count, execution.parallelism) == (3, 1, 2)
    tasks = list(cloud.tasks().list_tasks(parent=execution.name))
    assert [task.index for task in tasks] == [0, 1, 2, 3]
    assert [task.last_attempt_result.exit_code for task in tasks] == [0, 7, 0, 0]
    assert "task1 failed with exit code: 7" in completed(execution).message


def test_parallelism_bounds_the_tasks_that_run_at_once(cloud, tmp_path):
    job = cloud.create_job("narrow", f"await={tmp_path}/go", task_count=3, parallelism=2)
    operation = cloud.jobs().run_job(name=job.name)
    wait_until(cloud, operation.metadata.name, lambda e: e.running_count == 2)
    tasks = cloud.tasks().list_tasks(parent=operation.metadata.name)
    assert [bool(task.start_time) for task in tasks] == [True, True, False]
    (tmp_path / "go").touch()
    assert operation.result(30).succeeded_count == 3


def test_a_timeout_stops_the_task_and_says_so(cloud):
    execution = cloud.run(cloud.create_job("slow", "sleep=60", timeout="1s"))
    (task,) = cloud.tasks().list_tasks(parent=execution.name)
    assert execution.failed_count == 1
    assert "The configured timeout was reached." in completed(execution).message
    assert task.last_attempt_result.status.code == 4
    text = "Terminating task because it has reached the maximum timeout of 1 seconds"
    entries = cloud.logging().list_log_entries(
        resource_names=[f"projects/{cloud.project}"], filter=f'textPayload:"{text}" severity=ERROR'
    )
    assert len(list(entries)) == 1


def test_memory_over_the_limit_kills_the_task_with_137(cloud):
    execution = cloud.run(cloud.create_job("greedy", "fill=700"))
    (task,) = cloud.tasks().list_tasks(parent=execution.name)
    assert task.last_attempt_result.exit_code == 137
    assert "The configured memory limit was reached." in completed(execution).message
    entries = cloud.logging().list_log_entries(
        resource_names=[f"projects/{cloud.project}"], filter='textPayload:"Memory limit of 512 MiB exceeded"'
    )
    assert len(list(entries)) == 1


def test_cancel_stops_what_runs_and_what_waits(cloud):
    job = cloud.create_job("stopped", "sleep=60", task_count=2, parallelism=1)
    operation = cloud.jobs().run_job(name=job.name)
    wait_until(cloud, operation.metadata.name, lambda e: e.running_count == 1)
    cancelling = cloud.executions().cancel_execution(name=operation.metadata.name)
    assert completed(cancelling.metadata).execution_reason == Reason.CANCELLING
    cancelled = cancelling.result(30)
    assert (cancelled.cancelled_count, cancelled.running_count, cancelled.generation) == (2, 0, 2)
    assert completed(cancelled).state == State.CONDITION_FAILED
    assert completed(cancelled).execution_reason == Reason.CANCELLED
    assert operation.result(30).cancelled_count == 2
    latest = cloud.jobs().get_job(name=job.name).latest_created_execution
    assert latest.completion_status.name == "EXECUTION_CANCELLED"
    with pytest.raises(exceptions.FailedPrecondition, match="already completed"):
        cloud.executions().cancel_execution(name=cancelled.name)


def test_a_deleted_execution_is_stopped_and_gone(cloud):
    job = cloud.create_job("deleted", "sleep=60")
    operation = cloud.jobs().run_job(name=job.name)
    name = operation.metadata.name
    wait_until(cloud, name, lambda e: e.running_count == 1)
    deleting = cloud.executions().delete_execution(name=name)
    assert deleting.metadata.delete_time
    assert completed(deleting.metadata).execution_reason == Reason.DELETED
    deleting.result(30)
    with pytest.raises(exceptions.NotFound, match="EXECUTION"):
        cloud.executions().get_execution(name=name)
    assert list(cloud.executions().list_executions(parent=job.name)) == []
    operation.exception(30)


def test_deleting_a_job_stops_its_executions(cloud):
    job = cloud.create_job("whole", "sleep=60")
    name = cloud.jobs().run_job(name=job.name).metadata.name
    wait_until(cloud, name, lambda e: e.running_count == 1)
    cloud.jobs().delete_job(name=job.name).result(30)
    with pytest.raises(exceptions.NotFound):
        cloud.executions().get_execution(name=name)


def test_executions_are_listed_across_jobs_newest_first(cloud):
    names = [cloud.run(cloud.create_job(f"listed-{n}")).name for n in range(3)]
    everywhere = cloud.executions().list_executions(
        request={"parent": f"{cloud.parent}/jobs/-", "page_size": 2}
    )
    assert [execution.name for execution in everywhere] == names[::-1]
    assert [e.name for e in cloud.executions().list_executions(parent=f"{cloud.parent}/jobs/listed-1")] == [
        names[1]
    ]
    tasks = cloud.tasks().list_tasks(parent=f"{cloud.parent}/jobs/-/executions/-")
    assert {cloud.short(task.name) for task in tasks} == {f"{cloud.short(name)}-task0" for name in names}


def test_operations_can_be_read_waited_for_listed_and_deleted(cloud, tmp_path):
    jobs = cloud.jobs()
    job = cloud.create_job("operated", f"await={tmp_path}/go")
    name = jobs.run_job(name=job.name).operation.name
    assert not jobs.get_operation({"name": name}).done
    assert not wait_operation(jobs, {"name": name, "timeout": {"nanos": 1_000_000}}).done
    with pytest.raises(exceptions.FailedPrecondition):
        jobs.delete_operation({"name": name})
    (tmp_path / "go").touch()
    assert wait_operation(jobs, {"name": name, "timeout": {"seconds": 30}}).done
    assert name in [operation.name for operation in jobs.list_operations({"name": cloud.parent}).operations]
    jobs.delete_operation({"name": name})
    with pytest.raises(exceptions.NotFound):
        jobs.get_operation({"name": name})


def test_secrets_reach_a_task_as_variables_and_as_files(cloud):
    secrets = cloud.secrets()
    secret = secrets.create_secret(
        parent=f"projects/{cloud.project}", secret_id="key", secret={"replication": {"automatic": {}}}
    )
    for text in (b"one", b"two"):
        secrets.add_secret_version(parent=secret.name, payload={"data": text})
    reference = {"name": "KEY", "value_source": {"secret_key_ref": {"secret": "key", "version": "1"}}}
    job = cloud.create_job(
        "secretive",
        "env",
        "read=/secrets/newest",
        "mode=/secrets/newest",
        "read=/plain/key",
        container={
            "env": [reference],
            "volume_mounts": [
                {"name": "chosen", "mount_path": "/secrets"},
                {"name": "default", "mount_path": "/plain"},
            ],
        },
        volumes=[
            {
                "name": "chosen",
                "secret": {"secret": secret.name, "items": [{"path": "newest", "mode": 0o400}]},
            },
            {"name": "default", "secret": {"secret": "key"}},
        ],
    )
    execution = cloud.run(job)
    assert cloud.lines(execution)[1:] == ["two", "0o400", "two"]
    entries = cloud.logging().list_log_entries(
        resource_names=[f"projects/{cloud.project}"], filter='jsonPayload.KEY="one"'
    )
    assert len(list(entries)) == 1
    assert "one" not in json.dumps(run_v2.Execution.to_dict(execution)["template"])


@pytest.mark.parametrize("state", ["missing", "disabled"])
def test_a_secret_that_cannot_be_read_fails_the_execution_before_it_starts(cloud, state):
    secrets = cloud.secrets()
    if state == "disabled":
        secret = secrets.create_secret(
            parent=f"projects/{cloud.project}", secret_id="key", secret={"replication": {"automatic": {}}}
        )
        version = secrets.add_secret_version(parent=secret.name, payload={"data": b"x"})
        secrets.disable_secret_version(name=version.name)
    reference = {"name": "KEY", "value_source": {"secret_key_ref": {"secret": "key", "version": "latest"}}}
    execution = cloud.run(cloud.create_job("unread", container={"env": [reference]}))
    assert completed(execution).reason == run_v2.Condition.CommonReason.SECRETS_ACCESS_CHECK_FAILED
    assert f"projects/{cloud.project}/secrets/key/versions/latest" in completed(execution).message
    assert not execution.start_time


def test_buckets_outlive_a_task_and_memory_does_not(cloud):
    mounts = [{"name": "bucket", "mount_path": "/bucket"}, {"name": "memory", "mount_path": "/memory"}]
    volumes = [
        {"name": "bucket", "gcs": {"bucket": f"b-{cloud.project}"}},
        {"name": "memory", "empty_dir": {"size_limit": "10Mi"}},
    ]
    job = cloud.create_job(
        "writer", "write=/bucket/x", "write=/memory/x", container={"volume_mounts": mounts}, volumes=volumes
    )
    assert cloud.run(job).succeeded_count == 1
    read = cloud.run(job, container_overrides=[{"args": ["read=/bucket/x"]}])
    assert cloud.lines(read) == ["written"]
    assert cloud.run(job, container_overrides=[{"args": ["read=/memory/x"]}]).failed_count == 1


def test_containers_start_in_order_and_share_a_volume(cloud):
    mounts = [{"name": "shared", "mount_path": "/shared"}]
    image = "x/worker"
    containers = [
        {
            "name": "sidecar",
            "image": image,
            "args": ["write=/shared/ready", "sleep=60"],
            "volume_mounts": mounts,
        },
        {
            "name": "main",
            "image": image,
            "args": ["await=/shared/ready", "read=/shared/ready"],
            "depends_on": ["sidecar"],
            "volume_mounts": mounts,
        },
    ]
    job = cloud.create_job("pair", containers=containers, volumes=[{"name": "shared", "empty_dir": {}}])
    execution = cloud.run(job)
    assert execution.succeeded_count == 1
    assert cloud.lines(execution, "labels.container_name=main") == ["written"]


def test_requirements_that_cannot_be_installed_fail_the_execution_not_its_tasks(cloud, images):
    """No retry can help there: three more installations would only hide the message."""
    name = f"broken-{cloud.project}"
    folder = images / name.replace("-", "_")
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python"]\n')
    (folder / "requirements.txt").write_text("this is no requirement\n")
    execution = cloud.run(cloud.create_job("broken", container={"image": name}, max_retries=3))
    assert "requirements" in completed(execution).message
    assert not execution.start_time
    assert list(cloud.tasks().list_tasks(parent=execution.name)) == []
