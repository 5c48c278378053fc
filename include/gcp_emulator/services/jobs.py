"""google.cloud.run.v2.Jobs"""

import asyncio
import uuid
from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import Aborted, AlreadyExists, InvalidArgument
from gcp_emulator.messages import RUN, Execution, Job, Operation, message_class
from gcp_emulator.pages import list_page
from gcp_emulator.run import conditions
from gcp_emulator.run import execution as life
from gcp_emulator.run import template as templates
from gcp_emulator.run.conditions import Reason, State
from gcp_emulator.run.engine import Engine
from gcp_emulator.run.images import first_image_error
from gcp_emulator.run.names import check_job_id, check_parent, check_token, location, missing, short
from gcp_emulator.run.validation import check_job
from gcp_emulator.runtime import Runtime
from gcp_emulator.services.operations import Operations
from gcp_emulator.store import Store

GA = 4  # google.api.LaunchStage
SOON_S = 0.2  # an operation that ends this fast is done in the answer already


class Jobs:
    """Job definitions, and the runs that start from them."""

    def __init__(self, store: Store, engine: Engine, operations: Operations, runtime: Runtime) -> None:
        self._store = store
        self._engine = engine
        self._operations = operations
        self._runtime = runtime
        self._background: set[asyncio.Task[None]] = set()

    async def GetJob(self, request: Any, call: Call) -> Any:
        return self._need(request.name)

    async def ListJobs(self, request: Any, call: Call) -> Any:
        check_parent(request.parent)
        jobs, token = list_page(self._store, Job, request.parent, request, deleted=request.show_deleted)
        return message_class(f"{RUN}.ListJobsResponse")(jobs=jobs, next_page_token=token)

    async def CreateJob(self, request: Any, call: Call) -> Operation:
        check_parent(request.parent)
        check_job_id(request.job_id)
        if request.job.name:
            raise InvalidArgument.field("job.name", "must be empty in a create request")
        name = f"{request.parent}/jobs/{request.job_id}"
        if self._store.get(Job, name) is not None:
            raise AlreadyExists(f"Resource '{request.job_id}' already exists.")
        job = self._new(name, request.job, call.caller)
        return await self._deploy(job, call.caller, validate_only=request.validate_only)

    async def UpdateJob(self, request: Any, call: Call) -> Operation:
        name = request.job.name
        old = self._store.get(Job, name)
        if old is None and not request.allow_missing:
            raise missing("JOB", name)
        if old is None:
            check_parent(location(name))
            check_job_id(short(name))
            job = self._new(name, request.job, call.caller)
            return await self._deploy(job, call.caller, validate_only=request.validate_only)
        self._check_etag(old, request.job.etag)
        self._check_token(old, request.job)
        job = self._changed(old, request.job, call.caller)
        if job.generation == old.generation and job.terminal_condition.state == State.SUCCEEDED:
            return self._operations.finished(location(name), old)
        return await self._deploy(job, call.caller, validate_only=request.validate_only)

    async def DeleteJob(self, request: Any, call: Call) -> Operation:
        job = self._need(request.name)
        self._check_etag(job, request.etag)
        life.mark_deleted(job)
        if request.validate_only:
            return self._operations.finished(location(job.name), job)
        stopping = self._engine.delete_all(job.name)
        self._store.put(job, deleted=True)
        operation = self._operations.begin(location(job.name), job)
        return await self._finish_soon(operation, self._after(stopping, operation, job))

    async def RunJob(self, request: Any, call: Call) -> Operation:
        job = self._need(request.name)
        self._check_etag(job, request.etag)
        template = templates.overridden(job.template, request.overrides)
        if request.validate_only:
            execution = life.create(job, template, f"{short(job.name)}-valid", call.caller)
            return self._operations.finished(location(job.name), execution)
        return self._engine.start(job, template, call.caller)[1]

    def _need(self, name: str) -> Any:
        job = self._store.get(Job, name)
        if job is None:
            raise missing("JOB", name)
        return job

    def _check_etag(self, resource: Any, etag: str) -> None:
        if etag and etag != resource.etag:
            raise Aborted(
                f"Conflict for resource '{short(resource.name)}': etag {etag} was given, the current one is "
                f"{resource.etag}. Read the resource again."
            )

    def _check_token(self, old: Any, given: Any) -> None:
        """Refuse a token that comes again after the job has lost it: an execution bears its name already."""
        token = templates.token(given)
        if not token or token == templates.token(old):
            return
        execution_id = f"{short(old.name)}-{token}"
        if self._store.get(Execution, f"{old.name}/executions/{execution_id}") is not None:
            raise AlreadyExists(f"Resource '{execution_id}' already exists.")

    def _new(self, name: str, given: Any, caller: str) -> Any:
        check_job(given)
        job = templates.user_part(given)
        job.name, job.uid, job.generation = name, str(uuid.uuid4()), 1
        job.creator = job.last_modifier = caller
        job.launch_stage = job.launch_stage or GA
        templates.fill_defaults(job.template)
        life.touch(job)
        job.create_time.CopyFrom(job.update_time)
        return job

    def _changed(self, old: Any, given: Any, caller: str) -> Any:
        """The job after an update; its generation is the old one when nothing that users set differs."""
        check_job(given)
        wanted = templates.user_part(given)
        wanted.launch_stage = wanted.launch_stage or GA
        templates.fill_defaults(wanted.template)
        job = Job.FromString(old.SerializeToString())
        if wanted == templates.user_part(old):
            return job
        for field in templates.USER_FIELDS:
            job.ClearField(field)
        job.MergeFrom(wanted)
        job.generation += 1
        job.last_modifier = caller
        life.touch(job)
        return job

    async def _deploy(self, job: Any, caller: str, *, validate_only: bool) -> Operation:
        """Store the job and make it ready; its operation ends with the job or with what is wrong."""
        token = templates.token(job)
        if token:
            check_token(short(job.name), token)
        if validate_only:
            return self._operations.finished(location(job.name), job)
        job.reconciling = True
        conditions.write(job.terminal_condition, conditions.READY, State.RECONCILING)
        self._store.put(job)
        operation = self._operations.begin(location(job.name), job)
        return await self._finish_soon(operation, self._make_ready(job.name, operation.name, caller))

    async def _finish_soon(self, operation: Operation, work: Any) -> Operation:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        await asyncio.wait({task}, timeout=SOON_S)
        return self._store.get(Operation, operation.name) or operation

    async def _make_ready(self, name: str, operation: str, caller: str) -> None:
        job = self._need(name)
        generation, error = job.generation, await first_image_error(self._runtime, job.template.template)
        job = self._store.get(Job, name)
        if job is None or job.generation != generation:
            self._operations.end(operation, Aborted(f"Job '{short(name)}' was changed or deleted meanwhile."))
            return
        job.reconciling = False
        if error is None:
            job.observed_generation = job.generation
            conditions.write(job.terminal_condition, conditions.READY, State.SUCCEEDED)
        else:
            conditions.write(
                job.terminal_condition,
                conditions.READY,
                State.FAILED,
                error.message,
                Reason.CONTAINER_MISSING,
            )
        self._store.put(job)
        if error is None:
            await self._run_by_token(job, caller)
            job = self._store.get(Job, name) or job
        self._operations.end(operation, error or job, job)

    async def _run_by_token(self, job: Any, caller: str) -> None:
        """Start the execution that a token names, once; `run_execution_token` also waits for its end."""
        token = templates.token(job)
        execution_id = f"{short(job.name)}-{token}"
        if not token or self._store.get(Execution, f"{job.name}/executions/{execution_id}") is not None:
            return
        execution, _ = self._engine.start(job, job.template, caller, execution_id)
        running = self._engine.running(execution.name)
        if job.run_execution_token and running is not None:
            await asyncio.wait({running})

    async def _after(self, stopping: list[asyncio.Task[None]], operation: Operation, job: Any) -> None:
        if stopping:
            await asyncio.wait(stopping)
        self._operations.end(operation.name, job, job)
