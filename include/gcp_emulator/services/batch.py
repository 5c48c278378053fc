"""google.cloud.batch.v1.BatchService"""

from typing import Any

from gcp_emulator.batch.engine import Engine
from gcp_emulator.batch.listing import Wanted, list_page
from gcp_emulator.batch.names import (
    JOB,
    TASK,
    TASK_GROUP,
    check_name,
    check_parent,
    check_request_id,
    group_of,
    job_of,
    missing,
)
from gcp_emulator.batch.requests import Requests
from gcp_emulator.batch.validation import check_job
from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.messages import BATCH, BatchJob, BatchTask, Operation, message_class
from gcp_emulator.store import Store


class BatchService:
    """Jobs and their tasks."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._requests = Requests()

    async def CreateJob(self, request: Any, call: Call) -> Any:
        check_parent(request.parent)
        check_request_id(request.request_id)
        key = ("create", request.parent, request.request_id)
        if known := self._requests.find(*key):
            return self._engine.find(known)
        check_job(request.parent, request.job)
        job = self._engine.create(request.parent, request.job_id, request.job)
        self._requests.keep(job.name, *key)
        return job

    async def GetJob(self, request: Any, call: Call) -> Any:
        check_name(request.name, JOB, "job")
        return self._engine.find(request.name)

    async def ListJobs(self, request: Any, call: Call) -> Any:
        check_parent(request.parent, wildcard=True)
        wanted = Wanted.read(BatchJob, request.parent, request, request.order_by)
        jobs, token = await list_page(
            self._store, BatchJob, wanted, lambda stored: self._engine.live(stored.name) or stored
        )
        return message_class(f"{BATCH}.ListJobsResponse")(jobs=jobs, next_page_token=token)

    async def CancelJob(self, request: Any, call: Call) -> Operation:
        check_name(request.name, JOB, "job")
        return self._once("cancel", request, self._engine.cancel)

    async def DeleteJob(self, request: Any, call: Call) -> Operation:
        check_name(request.name, JOB, "job")
        return self._once("delete", request, self._engine.delete)

    def _once(self, verb: str, request: Any, act: Any) -> Operation:
        """The operation of a request that may have come before."""
        check_request_id(request.request_id)
        key = (verb, request.name, request.request_id)
        known = self._requests.find(*key)
        operation: Operation | None = self._engine.operation(known) if known else None
        if operation is None:
            operation = act(request.name)
            self._requests.keep(operation.name, *key)
        return operation

    async def GetTask(self, request: Any, call: Call) -> Any:
        check_name(request.name, TASK, "task")
        self._engine.find(job_of(request.name))
        task = self._store.get(BatchTask, request.name)
        if task is None:
            raise missing(request.name)
        return task

    async def ListTasks(self, request: Any, call: Call) -> Any:
        if not TASK_GROUP.fullmatch(request.parent):
            raise InvalidArgument.field(
                "parent", f"'{request.parent}' is not .../jobs/<job>/taskGroups/<task group>"
            )
        self._engine.find(job_of(request.parent))
        if request.parent != group_of(job_of(request.parent)):
            raise missing(request.parent)
        wanted = Wanted.read(BatchTask, request.parent, request)
        tasks, token = await list_page(self._store, BatchTask, wanted, lambda task: task, oldest_first=True)
        return message_class(f"{BATCH}.ListTasksResponse")(tasks=tasks, next_page_token=token)
