"""Puts thousands of scheduled tasks into the state deferred without running them first: `python defer_many.py FAILS`.

Every FAILS-th job will fail.

Running five thousand tasks until they defer takes this machine half an hour. Here one process submits the jobs by our
backend, lets the operator itself make the trigger, and stores both by Airflow's own models as its Execution API does
when a task defers. Whatever comes after (triggerer, scheduler, workers) cannot tell the difference.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.sdk.exceptions import TaskDeferred
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access
from gcp_jobs.job_run import Carry
from gcp_jobs.model import JobRef
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.ownership import Claim
from gcp_jobs.settings import settings
from gcp_jobs.template import inline

SPEC = {"name": "waiting", "image": "gcp-emulator/pretend", "machine_type": "waiting-0"}


def submitted(number: int, fails: int) -> tuple[JobRef, str]:
    """Make one job, which waits for a machine; each `fails`-th will fail."""
    spec = inline(SPEC, settings(), {"name": "waiting"}, "batch").spec
    place = JobRef("batch", settings().project, settings().region, "waiting")
    args = ("seconds=0", "exit=3" if number % fails == 0 else "exit=0")
    return BatchBackend(Access()).submit(
        RunRequest(place, f"waiting-{number:010}", args=args, spec=spec)
    ), spec.digest


def deferral(task: TaskInstance, ref: JobRef, digest: str) -> TaskDeferred:
    """What the operator raises once its job runs."""
    operator = BatchJobOperator(task_id=task.task_id, spec=SPEC)
    operator._claim = Claim(task.dag_id, task.run_id, task.task_id, task.map_index, 0, ref.name)
    try:
        operator._defer(Carry(ref, None, digest), cursor=None)
    except TaskDeferred as found:
        return found


def main(fails: int) -> None:
    """Defer every scheduled task."""
    with create_session() as session, ThreadPoolExecutor(4) as pool:
        scheduled = select(TaskInstance).where(TaskInstance.state == TaskInstanceState.SCHEDULED)
        tasks = list(session.scalars(scheduled.order_by(TaskInstance.map_index)))
        jobs = pool.map(partial(submitted, fails=fails), range(len(tasks)))
        for task, (ref, digest) in zip(tasks, jobs, strict=True):
            raised = deferral(task, ref, digest)
            task.trigger = Trigger.from_object(raised.trigger)
            task.state, task.start_date = TaskInstanceState.DEFERRED, datetime.now(UTC)
            task.next_method, task.next_kwargs = raised.method_name, raised.kwargs or {}


if __name__ == "__main__":
    main(int(sys.argv[1]))
