"""The Google provider's own Cloud Run operators, unmodified, in real DAG runs against the emulator.

Their hooks build clients by themselves and know no emulator; the one thing changed is which channel those clients get.
"""

import threading
from typing import Any

import pytest

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # Airflow's .airflowignore
]


class Canceller(threading.Thread):
    """Cancels a job's first execution as soon as it runs."""

    def __init__(self, cloud: Any, job: str) -> None:
        super().__init__()
        self._executions = cloud.executions()
        self._job = job
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            running = [e for e in self._executions.list_executions(parent=self._job) if e.running_count]
            if running:
                self._executions.cancel_execution(name=running[0].name)
                return

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_the_life_of_a_job_with_stock_operators(cloud, run, capfd):
    """Whoever has DAGs for Cloud Run runs them on a laptop as they are."""
    from airflow.providers.google.cloud.operators import cloud_run as stock

    overrides = {"container_overrides": [{"args": ["say=deferred"]}]}
    states = run(
        (
            stock.CloudRunCreateJobOperator,
            {"task_id": "create", "job_name": "stock", "job": cloud.worker_job("say=waited for")},
        ),
        (stock.CloudRunListJobsOperator, {"task_id": "list"}),
        (stock.CloudRunExecuteJobOperator, {"task_id": "execute", "job_name": "stock", "verbose": True}),
        (
            stock.CloudRunExecuteJobOperator,
            {
                "task_id": "defer",
                "job_name": "stock",
                "overrides": overrides,
                "deferrable": True,
                "polling_period_seconds": 0.1,
            },
        ),
        (stock.CloudRunDeleteJobOperator, {"task_id": "delete", "job_name": "stock"}),
    )
    assert {task: state for task, (state, _) in states.items()} == dict.fromkeys(
        ("create", "list", "execute", "defer", "delete"), "success"
    )
    name = f"{cloud.parent}/jobs/stock"
    assert states["create"][1]["name"] == name
    assert [job["name"] for job in states["list"][1]] == [name]
    assert states["execute"][1]["latest_created_execution"]["completion_status"] == 1
    assert states["defer"][1]["execution_count"] == 2
    assert states["delete"][1]["name"] == name
    assert "waited for" in "".join(capfd.readouterr())
    shown = cloud.executions().list_executions(request={"parent": name, "show_deleted": True})
    assert [execution.succeeded_count for execution in shown] == [1, 1]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_failed_job_fails_the_stock_operator(cloud, run, capfd, deferrable):
    from airflow.providers.google.cloud.operators.cloud_run import CloudRunExecuteJobOperator

    cloud.create_job("failing", "exit=3")
    states = run(
        (
            CloudRunExecuteJobOperator,
            {
                "task_id": "execute",
                "job_name": "failing",
                "deferrable": deferrable,
                "polling_period_seconds": 0.1,
            },
        )
    )
    assert states["execute"][0] == "failed"
    assert "failed with exit code: 3 and message: The container exited with an error." in "".join(
        capfd.readouterr()
    )


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_job_cancelled_elsewhere_fails_the_stock_operator(cloud, run, deferrable):
    """The run's operation ends without an error then, as on Google: the counts tell."""
    from airflow.providers.google.cloud.operators.cloud_run import CloudRunExecuteJobOperator

    job = cloud.create_job("cancelled", "sleep=60", task_count=1)
    canceller = Canceller(cloud, job.name)
    canceller.start()
    try:
        states = run(
            (
                CloudRunExecuteJobOperator,
                {
                    "task_id": "execute",
                    "job_name": "cancelled",
                    "deferrable": deferrable,
                    "polling_period_seconds": 0.1,
                },
            )
        )
    finally:
        canceller.stop()
    assert states["execute"][0] == "failed"
