"""The one way into a service: counts the call, lets faults strike, runs the method; gRPC and REST both come here."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gcp_emulator.calls import Call, CallLog, resource_of
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
        self.strikes = faults.strikes
        self.methods: tuple[Method, ...] = tuple(
            method for method in METHODS if hasattr(services.get(method.service), method.name)
        )

    async def unary(self, method: Method, request: Any, caller: str, transport: str, peer: str = "") -> Any:
        call = self._calls.add(method.full_name, caller, transport, resource_of(request), peer)
        await self._faults.before(call.method, caller, call)
        answer = await self._function(method)(request, call)
        return await self._faults.after(call, answer)

    def stream(
        self, method: Method, requests: AsyncIterator[Any], caller: str, transport: str, peer: str = ""
    ) -> AsyncIterator[Any]:
        call: Call = self._calls.add(method.full_name, caller, transport, peer=peer)
        answers: AsyncIterator[Any] = self._function(method)(requests, call)
        return self._faults.watched(call, answers)

    def _function(self, method: Method) -> Any:
        return getattr(self._services[method.service], method.name)
