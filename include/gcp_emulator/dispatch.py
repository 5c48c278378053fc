"""The one way into a service: counts the call, lets faults strike, runs the method; gRPC and REST both come here."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gcp_emulator.calls import Call, CallLog
from gcp_emulator.faults.calls import CallFaults
from gcp_emulator.methods import METHODS, Method


class Dispatcher:
    """Finds the Python method named like the RPC on the service object of the RPC's service.

    A unary method is `async def Name(self, request, call) -> response`, a streaming one
    `def Name(self, requests, call) -> AsyncIterator`. Methods that a service lacks are not served.
    """

    def __init__(self, services: Mapping[str, Any], calls: CallLog, faults: CallFaults) -> None:
        self._services = services
        self._calls = calls
        self._faults = faults
        self.methods: tuple[Method, ...] = tuple(
            method for method in METHODS if hasattr(services.get(method.service), method.name)
        )

    async def unary(self, method: Method, request: Any, caller: str, transport: str) -> Any:
        call = self._calls.add(method.full_name, caller, transport)
        await self._faults.before(method.full_name, caller)
        return await self._function(method)(request, call)

    def stream(
        self, method: Method, requests: AsyncIterator[Any], caller: str, transport: str
    ) -> AsyncIterator[Any]:
        call: Call = self._calls.add(method.full_name, caller, transport)
        answers: AsyncIterator[Any] = self._function(method)(requests, call)
        return self._faults.watched(method.full_name, caller, answers)

    def _function(self, method: Method) -> Any:
        return getattr(self._services[method.service], method.name)
