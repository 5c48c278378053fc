"""REST: Google's JSON over HTTP for the same methods as gRPC, and the emulator's own pages."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulator import identity
from gcp_emulator.calls import CallLog
from gcp_emulator.dispatch import Dispatcher
from gcp_emulator.errors import ApiError, InvalidArgument
from gcp_emulator.faults.book import Book
from gcp_emulator.faults.page import FaultsPage
from gcp_emulator.routes import RouteTable
from gcp_emulator.transcode import fill

# https://cloud.google.com/apis/design/errors: HTTP status of each gRPC code.
HTTP_STATUS = {
    "CANCELLED": 499, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400,
    "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500, "UNAVAILABLE": 503, "DATA_LOSS": 500,
}  # fmt: skip
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Otherwise: TypeAlias = Callable[[Request], Awaitable[Response | None]]


class GoogleRest:
    """Answers every path of the method table, and leaves the others to `otherwise`, which may not know them either."""

    def __init__(self, dispatcher: Dispatcher, otherwise: Otherwise) -> None:
        self._dispatcher = dispatcher
        self._otherwise = otherwise
        self._routes = RouteTable(method for method in dispatcher.methods if not method.stream)

    async def __call__(self, request: Request) -> Response:
        found = self._routes.find(request.method, request.scope["raw_path"].decode("ascii"))
        if found is None:
            said = f"The requested URL {request.url.path} was not found on this server."
            return await self._otherwise(request) or _error("NOT_FOUND", said)
        caller = identity.caller(request.headers.get("authorization"))
        try:
            message = found.method.request_class()
            fill(message, found, request.query_params.multi_items(), await request.body())
            peer = f"{request.client.host}:{request.client.port}" if request.client else ""
            answer = await self._dispatcher.unary(found.method, message, caller, "rest", peer)
        except ApiError as error:
            return _error(error.code.name, error.message)
        as_numbers = "enum-encoding=int" in request.query_params.get("$alt", "")
        return _json(json_format.MessageToDict(answer, use_integers_for_enums=as_numbers))


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type="application/json; charset=UTF-8")


def _error(status: str, message: str) -> Response:
    code = HTTP_STATUS[status]
    return _json({"error": {"code": code, "message": message, "status": status}}, code)


class Pages:
    """`/emulator/*`: what the emulator says about itself."""

    def __init__(self, calls: CallLog, about: dict[str, Any]) -> None:
        self._calls = calls
        self._about = about

    async def calls(self, request: Request) -> Response:
        """Calls by method and caller; `?recent=N` adds the last N in order; DELETE starts anew."""
        if request.method == "DELETE":
            self._calls.clear()
        recent = request.query_params.get("recent", "0")
        if not recent.isdigit():
            return _error(InvalidArgument.code.name, f"recent must be a number of calls, not '{recent}'")
        return JSONResponse(self._calls.as_dict(int(recent)))

    async def health(self, request: Request) -> Response:
        """Where the emulator listens, and how many log entries it keeps."""
        about = {name: value() if callable(value) else value for name, value in self._about.items()}
        return JSONResponse({"status": "ok", **about})


def application(
    dispatcher: Dispatcher,
    calls: CallLog,
    faults: Book,
    about: dict[str, Any],
    routes: Sequence[Route],
    otherwise: Otherwise,
) -> Starlette:
    """The ASGI application; `about` appears on the health page.

    `routes` are the pages for people and the APIs that have no gRPC, `otherwise` answers what nothing else does.
    """
    pages = Pages(calls, about)
    return Starlette(
        routes=[
            Route("/emulator/calls", pages.calls, methods=["GET", "DELETE"]),
            Route("/emulator/health", pages.health),
            *FaultsPage(faults, dispatcher.strikes).routes(),
            *routes,
            Route("/{path:path}", GoogleRest(dispatcher, otherwise).__call__, methods=VERBS),
        ]
    )
