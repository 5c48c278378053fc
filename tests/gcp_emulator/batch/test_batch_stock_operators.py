"""The Google provider's own Batch operators, unmodified, in real DAG runs against the emulator."""

import threading

import pytest

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # Airflow's .airflowignore
]


def spec(text):
    """The job as DAGs write it: a dict in Google's JSON."""
    group = {"taskSpec": {"runnables": [{"script": {"text": text}}]}, "taskCount": 2}
    return {"taskGroups": [group], "logsPolicy": {"destination": "CLOUD_LOGGING"}}


def submit(task_id, text, **more):
    from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator

    return (
        CloudBatchSubmitJobOperator,
        {"task_id": task_id, "job_name": task_id, "job": spec(text), "polling_period_seconds": 0.1, **more},
    )


def test_the_life_of_a_job_with_stock_operators(batch, run):
    """Whoever has DAGs for Batch runs them on a laptop as they are."""
    from airflow.providers.google.cloud.operators import cloud_batch as stock

    states = run(
        submit("waited", "echo waited"),
        submit("deferred", "echo deferred", deferrable=True),
        (stock.CloudBatchListJobsOperator, {"task_id": "jobs", "filter": "status.state=SUCCEEDED"}),
        (stock.CloudBatchListTasksOperator, {"task_id": "tasks", "job_name": "waited"}),
        (stock.CloudBatchDeleteJobOperator, {"task_id": "delete", "job_name": "waited"}),
    )
    assert {state for state, _ in states.values()} == {"success"}
    name = f"{batch.cloud.parent}/jobs"
    assert states["waited"][1]["status"]["state"] == states["deferred"][1]["status"]["state"] == 4
    assert [job["name"] for job in states["jobs"][1]] == [f"{name}/deferred", f"{name}/waited"]
    assert len(states["tasks"][1]) == 2
    assert [job.name for job in batch.client.list_jobs(parent=batch.cloud.parent)] == [f"{name}/deferred"]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_failed_job_fails_the_stock_operator(run, deferrable):
    assert run(submit("failing", "exit 3", deferrable=deferrable))["failing"][0] == "failed"


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_job_that_is_deleted_meanwhile_fails_the_stock_operator(batch, run, deferrable):
    over = threading.Event()

    def delete():
        while not over.wait(0.02):
            for job in batch.client.list_jobs(parent=batch.cloud.parent):
                if job.status.state == 3:
                    batch.client.delete_job(name=job.name)
                    return

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        states = run(submit("deleted", "sleep 60", deferrable=deferrable))
    finally:
        over.set()
        deleting.join()
    assert states["deleted"][0] == "failed"
