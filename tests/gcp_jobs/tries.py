"""One Airflow try of one of our operators, without an Airflow around it: worker, trigger, worker."""

from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from tests.gcp_jobs.small_airflow import fire

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.job import JobOperator

SPEC = {"image": "gcp-emulator/pretend"}
OPERATORS: dict[str, type[JobOperator]] = {"cloud_run": CloudRunJobOperator, "batch": BatchJobOperator}
BACKENDS: dict[str, JobBackend] = {"cloud_run": CloudRunBackend(Access()), "batch": BatchBackend(Access())}


class Store(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def context(store: Store, try_number: int, clear_number: int) -> Any:
    """What a task gets of Airflow, as far as an operator of ours looks."""
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=try_number, max_tries=1,
        xcom_push=lambda key, value: None,
    )  # fmt: skip
    return {
        "ti": ti,
        "dag_run": SimpleNamespace(clear_number=clear_number, run_type="manual"),
        "task_state_store": store,
    }


def worker(backend: str, name: str, deferrable: bool, seconds: float = 0.1) -> JobOperator:
    """The operator, new in each process; its job seems to run for so long."""
    return OPERATORS[backend](
        task_id="t", spec={"name": name, "args": [f"seconds={seconds}"], **SPEC}, deferrable=deferrable, verbose=False,
        polling_period_seconds=1, project_id="local-project", region="europe-west1",
    )  # fmt: skip


def one_try(said: Any, backend: str, name: str, deferrable: bool, seconds: float = 0.1) -> Any:
    """A whole try: its worker, its trigger, and the worker that resumes."""
    try:
        return worker(backend, name, deferrable, seconds).execute(said)
    except TaskDeferred as deferral:
        path, kwargs = deferral.trigger.serialize()
    event = fire([import_string(path)(**kwargs)])[0]
    return worker(backend, name, deferrable, seconds).execute_complete(said, event.payload)
