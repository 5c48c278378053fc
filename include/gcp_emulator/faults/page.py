"""`/emulator/faults`: POST a fault, GET the list, DELETE one (`/emulator/faults/ID`) or all.

`/emulator/faults/strikes?after=N&wait=S`: the calls that a `hold` has struck, from the one after the N-th; waits S
seconds for the next. DELETE `/emulator/faults/strikes/N` lets the N-th go on.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulator.errors import ApiError, InvalidArgument, NotFound
from gcp_emulator.faults.book import Book
from gcp_emulator.faults.strikes import Strikes

PATH = "/emulator/faults"
MOST_S = 60.0


class FaultsPage:
    """The book of faults as a resource."""

    def __init__(self, book: Book, strikes: Strikes) -> None:
        self._book, self._strikes = book, strikes

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.all, methods=["GET", "POST", "DELETE"]),
            Route(f"{PATH}/strikes", self.struck),
            Route(f"{PATH}/strikes/{{number:int}}", self.release, methods=["DELETE"]),
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

    async def struck(self, request: Request) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
            wait_s = min(float(request.query_params.get("wait", "0")), MOST_S)
        except ValueError as error:
            return _refusal(400, InvalidArgument(f"after is a number, wait are seconds: {error}"))
        return JSONResponse({"strikes": await self._strikes.after(after, wait_s)})

    async def release(self, request: Request) -> Response:
        try:
            return JSONResponse(self._strikes.release(request.path_params["number"]))
        except NotFound as error:
            return _refusal(404, error)

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
