"""google.cloud.run.v2.Executions"""

import re
from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import Aborted, InvalidArgument
from gcp_emulator.messages import RUN, Execution, Job, Operation, message_class
from gcp_emulator.pages import list_page
from gcp_emulator.run.engine import Engine
from gcp_emulator.run.names import location, missing, short
from gcp_emulator.services.operations import Operations
from gcp_emulator.store import Store

PARENT = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/[^/]+")


class Executions:
    """Runs of jobs: read, cancel, delete."""

    def __init__(self, store: Store, engine: Engine, operations: Operations) -> None:
        self._store = store
        self._engine = engine
        self._operations = operations

    async def GetExecution(self, request: Any, call: Call) -> Any:
        return self._engine.find(request.name)

    async def ListExecutions(self, request: Any, call: Call) -> Any:
        parent = request.parent
        if not PARENT.fullmatch(parent):
            raise InvalidArgument.field(
                "parent", f"'{parent}' is not projects/<p>/locations/<l>/jobs/<job or ->"
            )
        if short(parent) != "-" and not request.show_deleted and self._store.get(Job, parent) is None:
            raise missing("JOB", parent)
        found, token = list_page(self._store, Execution, parent, request, deleted=request.show_deleted)
        return message_class(f"{RUN}.ListExecutionsResponse")(executions=found, next_page_token=token)

    async def CancelExecution(self, request: Any, call: Call) -> Operation:
        execution = self._checked(request)
        if request.validate_only:
            return self._operations.finished(location(execution.name), execution)
        return self._engine.cancel(request.name)

    async def DeleteExecution(self, request: Any, call: Call) -> Operation:
        execution = self._checked(request)
        if request.validate_only:
            return self._operations.finished(location(execution.name), execution)
        return self._engine.delete(request.name)

    def _checked(self, request: Any) -> Any:
        execution = self._engine.find(request.name)
        if request.etag and request.etag != execution.etag:
            raise Aborted(f"Conflict for resource '{short(execution.name)}': its etag is {execution.etag}.")
        return execution
