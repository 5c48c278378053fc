"""`/emulator/faults`: POST a fault, GET the list, DELETE one (`/emulator/faults/ID`) or all."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulator.errors import ApiError, InvalidArgument, NotFound
from gcp_emulator.faults.book import Book

PATH = "/emulator/faults"


class FaultsPage:
    """The book of faults as a resource."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.all, methods=["GET", "POST", "DELETE"]),
            Route(f"{PATH}/{{id}}", self.one, methods=["GET", "DELETE"]),
        ]

    async def all(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                return JSONResponse(self._book.add(await _content(request)).as_dict(), 201)
            except ApiError as error:
                return _refusal(400, error)
        if request.method == "DELETE":
            self._book.clear()
        return JSONResponse({"faults": [active.as_dict() for active in self._book.all()]})

    async def one(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        try:
            active = self._book.find(id_)
            if request.method == "DELETE":
                self._book.remove(id_)
        except NotFound as error:
            return _refusal(404, error)
        return JSONResponse(active.as_dict())


async def _content(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise InvalidArgument(f"The body is not JSON: {error}") from error


def _refusal(status: int, error: ApiError) -> Response:
    content = {"code": status, "message": error.message, "status": error.code.name}
    return JSONResponse({"error": content}, status)
