"""Whatever of ours is in a region, with the task that made it: by what operators put into each run's environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud import batch_v1, run_v2

from gcp_jobs import clients
from gcp_jobs.backends.batch_status import to_status as batch_status
from gcp_jobs.backends.cloud_run_status import to_status as cloud_run_status
from gcp_jobs.backends.refusal import explained
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobStatus
from gcp_jobs.names import RUN_KEY_LABEL

OURS = ("managed-by", "gcp-jobs")
_READ_S = 30.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Maker:
    """The task that made a run; -1 is the map index of a task that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def __str__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id} / {self.run_id} / {self.task_id}{index}"


@dataclass(frozen=True, slots=True)
class Found:
    """A run of ours. `maker` is None where it does not say; `keep`: it was meant to outlive its task."""

    status: JobStatus
    maker: Maker | None
    keep: bool = False


def batch_page(
    access: Access, project: str, region: str, token: str, since: datetime
) -> tuple[list[Found], str]:
    """Read one page of a region's jobs, newest first; the token is empty after the last one created since then."""
    parent = f"projects/{project}/locations/{region}"
    request = batch_v1.ListJobsRequest(
        parent=parent, filter=f'labels.{OURS[0]}="{OURS[1]}"', order_by="create_time desc", page_size=_PAGE,
        page_token=token,
    )  # fmt: skip
    with explained("list the jobs", parent, "roles/batch.jobsViewer on the project", access):
        api: Any = clients.client("BatchService", access)
        page = next(iter(api.list_jobs(request, timeout=_READ_S).pages))
    found = [_found(batch_status(job), _batch_env(job)) for job in page.jobs if RUN_KEY_LABEL in job.labels]
    last = page.jobs[-1].create_time if page.jobs else None
    return found, "" if last and last < since else page.next_page_token


def cloud_run_page(
    access: Access, project: str, region: str, token: str, since: datetime
) -> tuple[list[Found], str]:
    """Read one page of the executions of all jobs of a region; as `batch_page`."""
    parent = f"projects/{project}/locations/{region}/jobs/-"
    request = run_v2.ListExecutionsRequest(parent=parent, page_size=_PAGE, page_token=token)
    with explained("list the executions", parent, "roles/run.viewer on the project", access):
        api: Any = clients.client("Executions", access)
        page = next(iter(api.list_executions(request, timeout=_READ_S).pages))
    pairs = [(cloud_run_status(execution), _cloud_run_env(execution)) for execution in page.executions]
    found = [_found(status, env) for status, env in pairs if status.run_key]
    last = page.executions[-1].create_time if page.executions else None
    return found, "" if last and last < since else page.next_page_token


PAGES = {"batch": batch_page, "cloud_run": cloud_run_page}


def found(access: Access, ref: JobRef) -> Found:
    """Read one run; raises ApiError."""
    with explained("read the run", ref.name, "roles/viewer on the project", access):
        if ref.on_batch:
            job = clients.client("BatchService", access).get_job(name=ref.name, timeout=_READ_S)
            return _found(batch_status(job), _batch_env(job))
        execution = clients.client("Executions", access).get_execution(name=ref.name, timeout=_READ_S)
        return _found(cloud_run_status(execution), _cloud_run_env(execution))


def census(
    backend: str, access: Access, project: str, region: str, since: datetime, pace: "Turns"
) -> Iterator[Found]:
    """Give all runs of ours that were created since then, page by page, each page when `pace` allows it.

    :raises ApiError: a page cannot be read
    """
    token = ""
    while True:
        pace.wait()
        found, token = PAGES[backend](access, project, region, token, since)
        yield from found
        if not token:
            return


class Turns:
    """Waits for the next turn of a pace (seconds from `turn`)."""

    def __init__(self, turn: Any, sleep: Any) -> None:
        self._turn, self._sleep = turn, sleep

    def wait(self) -> None:
        """Come back when a call is allowed."""
        if delay := self._turn():
            self._sleep(delay)


def _found(status: JobStatus, env: Mapping[str, str]) -> Found:
    dag, run, task = (env.get(f"GCP_JOBS_{name}", "") for name in ("DAG_ID", "RUN_ID", "TASK_ID"))
    index = env.get("GCP_JOBS_MAP_INDEX", "")
    whole = dag and run and task and index.lstrip("-").isdecimal()
    maker = Maker(dag, run, task, int(index)) if whole else None
    return Found(status, maker, env.get("GCP_JOBS_KEEP") == "true")


def _batch_env(job: batch_v1.Job) -> dict[str, str]:
    env: dict[str, str] = {}
    for group in job.task_groups:
        env |= dict(group.task_spec.environment.variables)
        for runnable in group.task_spec.runnables:
            env |= dict(runnable.environment.variables)
    return env


def _cloud_run_env(execution: run_v2.Execution) -> dict[str, str]:
    return {e.name: e.value for c in execution.template.containers for e in c.env if e.value}
