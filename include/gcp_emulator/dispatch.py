"""The one way into a service: counts the call, then runs the method; gRPC and REST both come through here."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gcp_emulator.calls import Call, CallLog
from gcp_emulator.methods import METHODS, Method


class Dispatcher:
    """Finds the Python method named like the RPC on the service object of the RPC's service.

    A unary method is `async def Name(self, request, call) -> response`, a streaming one
    `def Name(self, requests, call) -> AsyncIterator`. Methods that a service lacks are not served.
    """

    def __init__(self, services: Mapping[str, Any], calls: CallLog) -> None:
        self._services = services
        self._calls = calls
        self.methods: tuple[Method, ...] = tuple(
            method for method in METHODS if hasattr(services.get(method.service), method.name)
        )

    async def unary(self, method: Method, request: Any, caller: str, transport: str) -> Any:
        call = self._calls.add(method.full_name, caller, transport)
        return await self._function(method)(request, call)

    def stream(
        self, method: Method, requests: AsyncIterator[Any], caller: str, transport: str
    ) -> AsyncIterator[Any]:
        call: Call = self._calls.add(method.full_name, caller, transport)
        answers: AsyncIterator[Any] = self._function(method)(requests, call)
        return answers

    def _function(self, method: Method) -> Any:
        return getattr(self._services[method.service], method.name)
