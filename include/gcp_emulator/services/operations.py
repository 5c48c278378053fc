"""google.longrunning.Operations: what Create, Update, Run, Cancel and Delete answer with."""

import asyncio
import contextlib
import uuid
from typing import Any

from google.protobuf import empty_pb2

from gcp_emulator.calls import Call
from gcp_emulator.errors import ApiError, FailedPrecondition, NotFound
from gcp_emulator.messages import Operation, message_class
from gcp_emulator.pages import list_page
from gcp_emulator.store import Store

DEFAULT_WAIT_S = 30.0
MAX_WAIT_S = 300.0


class Operations:
    """Serves operations, and lets the other services start and end them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: dict[str, asyncio.Event] = {}

    def begin(self, location: str, metadata: Any, name: str = "") -> Operation:
        """A new operation under `projects/p/locations/l` that is not done."""
        operation = Operation(name=name or f"{location}/operations/{uuid.uuid4()}")
        operation.metadata.Pack(metadata)
        self._store.put(operation)
        self._ends[operation.name] = asyncio.Event()
        return operation

    def progress(self, name: str, metadata: Any) -> None:
        """Show a newer state of the resource in an operation that goes on."""
        operation = self._store.get(Operation, name)
        if operation is not None and not operation.done:
            operation.metadata.Pack(metadata)
            self._store.put(operation)

    def end(self, name: str, outcome: Any, metadata: Any = None) -> Operation:
        """Finish with a response or, given an ApiError, with an error; a deleted operation stays away."""
        operation = self._store.get(Operation, name) or Operation(name=name)
        known = bool(operation.metadata.type_url)
        if metadata is not None:
            operation.metadata.Pack(metadata)
        if isinstance(outcome, ApiError):
            operation.error.code, operation.error.message = outcome.number, outcome.message
        else:
            operation.response.Pack(outcome)
        operation.done = True
        if known:
            self._store.put(operation)
        event = self._ends.pop(name, None)
        if event is not None:
            event.set()
        return operation

    def finished(self, location: str, resource: Any) -> Operation:
        """An operation that is done from the start: its metadata and response are the resource."""
        return self.end(self.begin(location, resource).name, resource)

    def open(self) -> list[Operation]:
        """Operations that are not done, oldest first."""
        return [operation for operation in self._store.all(Operation) if not operation.done]

    def _need(self, name: str) -> Operation:
        operation: Operation | None = self._store.get(Operation, name)
        if operation is None:
            raise NotFound(f"Operation '{name}' does not exist.")
        return operation

    async def GetOperation(self, request: Any, call: Call) -> Operation:
        return self._need(request.name)

    async def ListOperations(self, request: Any, call: Call) -> Any:
        found, token = list_page(self._store, Operation, request.name, request)
        response = message_class("google.longrunning.ListOperationsResponse")()
        response.operations.extend(found)
        response.next_page_token = token
        return response

    async def WaitOperation(self, request: Any, call: Call) -> Operation:
        operation = self._need(request.name)
        seconds = request.timeout.seconds + request.timeout.nanos / 1e9
        event = self._ends.get(request.name)
        if not operation.done and event is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), min(seconds or DEFAULT_WAIT_S, MAX_WAIT_S))
        return self._need(request.name)

    async def DeleteOperation(self, request: Any, call: Call) -> empty_pb2.Empty:
        if not self._need(request.name).done:
            raise FailedPrecondition(f"Operation '{request.name}' is not done: cancel its execution first.")
        self._store.remove(Operation, request.name)
        return empty_pb2.Empty()
