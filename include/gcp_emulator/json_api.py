"""Google's older JSON-over-HTTP APIs (BigQuery v2, Storage v1): one endpoint a method, calls counted, faults, errors.

Their errors carry a `reason` that clients act on, beside the HTTP status: https://cloud.google.com/bigquery/docs/error-messages,
https://cloud.google.com/storage/docs/json_api/v1/status-codes.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from grpc import StatusCode
from starlette.requests import Request
from starlette.responses import Response

from gcp_emulator import identity
from gcp_emulator.calls import CallLog
from gcp_emulator.errors import ApiError
from gcp_emulator.faults.calls import CallFaults
from gcp_emulator.methods import JSON_METHODS

Answer: TypeAlias = Response | Mapping[str, Any] | None
Handler: TypeAlias = Callable[[Request, str], Awaitable[Answer]]

# What a fault of /emulator/faults, which speaks gRPC's codes, looks like in these APIs.
OF_CODE: Mapping[StatusCode, tuple[int, str]] = {
    StatusCode.INVALID_ARGUMENT: (400, "invalid"),
    StatusCode.FAILED_PRECONDITION: (412, "conditionNotMet"),
    StatusCode.UNAUTHENTICATED: (401, "authError"),
    StatusCode.PERMISSION_DENIED: (403, "accessDenied"),
    StatusCode.NOT_FOUND: (404, "notFound"),
    StatusCode.ALREADY_EXISTS: (409, "duplicate"),
    StatusCode.RESOURCE_EXHAUSTED: (429, "rateLimitExceeded"),
    StatusCode.INTERNAL: (500, "internalError"),
    StatusCode.UNAVAILABLE: (503, "backendError"),
    StatusCode.DEADLINE_EXCEEDED: (504, "backendError"),
}


class Refusal(Exception):
    """A refusal in the JSON APIs' shape: HTTP status, reason, what the user reads; `location` names the input."""

    def __init__(self, status: int, reason: str, message: str, location: str = "") -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.location = status, reason, message, location

    @property
    def item(self) -> dict[str, str]:
        """The error as a member of `errors`, also in a job's status."""
        item = {"reason": self.reason, "message": self.message, "domain": "global"}
        return {**item, "location": self.location} if self.location else item

    def answer(self) -> Response:
        status = HTTPStatus(self.status).phrase.upper().replace(" ", "_")
        error = {"code": self.status, "message": self.message, "errors": [self.item], "status": status}
        return body({"error": error}, self.status)


def refusal(error: ApiError) -> Refusal:
    """A gRPC-coded refusal (a fault, or another service's) as these APIs say it."""
    return Refusal(*OF_CODE.get(error.code, (500, "internalError")), error.message)


def body(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, dict(headers or {}), "application/json; charset=UTF-8")


class JsonApi:
    """Makes Starlette endpoints out of methods: `endpoint("bigquery.tables.get", handler)`.

    A handler gets the request and its caller's e-mail (or `anonymous`), and returns what becomes the JSON body, a
    response of its own, or None for 204. Refusal and ApiError become the error answer.
    """

    def __init__(self, calls: CallLog, faults: CallFaults) -> None:
        self._calls = calls
        self._faults = faults

    def endpoint(self, method: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """`method` is the name in `/emulator/calls` and `/emulator/faults`: Google's own, as in its discovery file."""
        JSON_METHODS.add(method)

        async def answered(request: Request) -> Response:
            caller = identity.caller(request.headers.get("authorization"))
            self._calls.add(method, caller, "rest")
            try:
                await self._faults.before(method, caller)
                answer = await handler(request, caller)
            except ApiError as error:
                return refusal(error).answer()
            except Refusal as error:
                return error.answer()
            if isinstance(answer, Response):
                return answer
            return Response(status_code=204) if answer is None else body(answer)

        return answered
