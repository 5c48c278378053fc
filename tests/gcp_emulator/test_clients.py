"""The real asynchronous and REST clients see the same cloud as the synchronous gRPC one."""

import asyncio

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2AsyncClient
from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient


def in_loop(cloud, work):
    """Run `work(client)` where client(cls) makes an asynchronous client of the emulator."""

    async def main():
        async with grpc.aio.insecure_channel(cloud.ready["grpc"]) as channel:
            return await work(
                lambda cls: cls(transport=cls.get_transport_class("grpc_asyncio")(channel=channel))
            )

    return asyncio.run(main())


def test_the_async_clients_create_run_list_cancel_and_delete(cloud):
    async def work(client):
        jobs, executions = client(run_v2.JobsAsyncClient), client(run_v2.ExecutionsAsyncClient)
        job = cloud.worker_job("say=hello")
        created = await jobs.create_job(parent=cloud.parent, job_id="asynchronous", job=job)
        name = (await created.result(timeout=30)).name
        operation = await jobs.run_job(name=name)
        done = await operation.result(timeout=30)
        assert done.succeeded_count == 1
        tasks = await client(run_v2.TasksAsyncClient).list_tasks(parent=done.name)
        assert [task.last_attempt_result.exit_code async for task in tasks] == [0]
        long = run_v2.RunJobRequest(name=name, overrides={"container_overrides": [{"args": ["sleep=60"]}]})
        running = await jobs.run_job(long)
        cancelled = await (await executions.cancel_execution(name=running.metadata.name)).result(timeout=30)
        assert cancelled.cancelled_count == 1
        assert len([e async for e in await executions.list_executions(parent=name)]) == 2
        await (await jobs.delete_job(name=name)).result(timeout=30)
        with pytest.raises(exceptions.NotFound):
            await jobs.get_job(name=name)

    in_loop(cloud, work)


def test_the_async_clients_keep_secrets_and_find_logs(cloud):
    async def work(client):
        secrets, logging = client(SecretManagerServiceAsyncClient), client(LoggingServiceV2AsyncClient)
        parent = f"projects/{cloud.project}"
        secret = await secrets.create_secret(
            parent=parent, secret_id="s", secret={"replication": {"automatic": {}}}
        )
        await secrets.add_secret_version(parent=secret.name, payload={"data": b"x"})
        answer = await secrets.access_secret_version(name=f"{secret.name}/versions/latest")
        assert answer.payload.data == b"x"
        entry = {"text_payload": "hello", "severity": "ERROR"}
        await logging.write_log_entries(
            log_name=f"{parent}/logs/mine", resource={"type": "global"}, labels={}, entries=[entry]
        )
        found = await logging.list_log_entries(resource_names=[parent], filter="severity=ERROR")
        assert [entry.text_payload async for entry in found] == ["hello"]

    in_loop(cloud, work)


def test_the_rest_clients_do_all_that_the_grpc_clients_do(cloud):
    jobs, executions, tasks = cloud.jobs("rest"), cloud.executions("rest"), cloud.tasks("rest")
    job = jobs.create_job(parent=cloud.parent, job_id="rest", job=cloud.worker_job("say=hello")).result(30)
    assert jobs.get_job(name=job.name) == cloud.jobs().get_job(name=job.name)
    assert [listed.name for listed in jobs.list_jobs(parent=cloud.parent)] == [job.name]
    job.template.template.containers[0].args = ["exit=4"]
    assert jobs.update_job(job=job).result(30).generation == 2
    operation = jobs.run_job(name=job.name)
    with pytest.raises(exceptions.GoogleAPICallError, match="exit code: 4"):
        operation.result(30)
    failed = executions.get_execution(name=operation.metadata.name)
    assert failed == cloud.executions().get_execution(name=failed.name)
    assert [task.last_attempt_result.exit_code for task in tasks.list_tasks(parent=failed.name)] == [4]
    request = run_v2.RunJobRequest(name=job.name, overrides={"container_overrides": [{"args": ["sleep=60"]}]})
    running = jobs.run_job(request)
    assert executions.cancel_execution(name=running.metadata.name).result(30).cancelled_count == 1
    assert (
        len(list(executions.list_executions(request={"parent": f"{cloud.parent}/jobs/-", "page_size": 1})))
        == 2
    )
    executions.delete_execution(name=failed.name).result(30)
    jobs.delete_job(name=job.name).result(30)
    with pytest.raises(exceptions.NotFound, match="'rest' of kind 'JOB'"):
        jobs.get_job(name=job.name)


def test_rest_refuses_as_grpc_does(cloud):
    with pytest.raises(exceptions.BadRequest, match="job_id"):
        cloud.jobs("rest").create_job(parent=cloud.parent, job_id="Bad", job=cloud.worker_job())
    cloud.create_job("once")
    with pytest.raises(exceptions.Conflict, match="already exists"):
        cloud.jobs("rest").create_job(parent=cloud.parent, job_id="once", job=cloud.worker_job())
