"""The paths of the pages."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gcp_emulator.errors import ApiError, NotFound
from gcp_emulator.site.buckets import bucket_page
from gcp_emulator.site.log_lines import logs_page
from gcp_emulator.site.markup import document, note
from gcp_emulator.site.overview import overview
from gcp_emulator.site.resources import batch_page, execution_page
from gcp_emulator.site.world import World

# Logs hold what jobs print: whatever that is, a browser must run none of it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Site:
    """Read-only pages of one emulator."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/emulator", self.overview),
            Route("/emulator/", self.overview),
            Route("/emulator/executions/{name:path}", self.execution),
            Route("/emulator/batch/{name:path}", self.batch),
            Route("/emulator/buckets/{name}", self.bucket),
            Route("/emulator/logs", self.logs),
        ]

    async def overview(self, request: Request) -> Response:
        return _page(lambda: overview(self._world))

    async def execution(self, request: Request) -> Response:
        return _page(lambda: execution_page(self._world, request.path_params["name"]))

    async def batch(self, request: Request) -> Response:
        return _page(lambda: batch_page(self._world, request.path_params["name"]))

    async def bucket(self, request: Request) -> Response:
        """`?prefix=` a folder."""
        prefix = request.query_params.get("prefix", "")
        return _page(lambda: bucket_page(self._world, request.path_params["name"], prefix))

    async def logs(self, request: Request) -> Response:
        """`?resource=` a full name, a Batch job's uid or an execution's id."""
        resource = request.query_params.get("resource", "")
        if not resource:
            return _refusal(
                400, "Say whose: /emulator/logs?resource=NAME, an execution, a Batch job, or a task."
            )
        return _page(lambda: logs_page(self._world, resource))


def _page(make: Callable[[], str]) -> Response:
    try:
        return HTMLResponse(make(), headers=HEADERS)
    except NotFound as error:
        return _refusal(404, error.message)
    except ApiError as error:
        return _refusal(400, error.message)


def _refusal(status: int, message: str) -> Response:
    title = "Not found" if status == 404 else "Cannot be shown"
    return HTMLResponse(document(title, note(message)), status, headers=HEADERS)
