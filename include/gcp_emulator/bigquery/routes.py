"""BigQuery's paths. DuckDB and what needs it are loaded by the first call, not when the emulator starts."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gcp_emulator.bigquery import discovery
from gcp_emulator.bigquery.uploads import Uploads
from gcp_emulator.json_api import Answer, JsonApi, Refusal, body

if TYPE_CHECKING:
    from gcp_emulator.bigquery.objects import Objects
    from gcp_emulator.bigquery.service import BigQuery

Made = TypeVar("Made")
CALLS = 64  # at a time: most of them wait for a job
PREFIXES = ("/bigquery/v2", "")  # BIGQUERY_EMULATOR_HOST's clients send either
PROJECT = "/projects/{projectId}"
DATASET = f"{PROJECT}/datasets/{{datasetId}}"
TABLE = f"{DATASET}/tables/{{tableId}}"
# Verb, path and name: https://bigquery.googleapis.com/discovery/v1/apis/bigquery/v2/rest
PATHS = (
    ("GET", "/projects", "bigquery.projects.list"),
    ("GET", f"{PROJECT}/serviceAccount", "bigquery.projects.getServiceAccount"),
    ("GET", f"{PROJECT}/datasets", "bigquery.datasets.list"),
    ("POST", f"{PROJECT}/datasets", "bigquery.datasets.insert"),
    ("GET", DATASET, "bigquery.datasets.get"),
    ("PATCH", DATASET, "bigquery.datasets.patch"),
    ("PUT", DATASET, "bigquery.datasets.update"),
    ("DELETE", DATASET, "bigquery.datasets.delete"),
    ("GET", f"{DATASET}/tables", "bigquery.tables.list"),
    ("POST", f"{DATASET}/tables", "bigquery.tables.insert"),
    ("POST", f"{TABLE}:getIamPolicy", "bigquery.tables.getIamPolicy"),
    ("POST", f"{TABLE}:testIamPermissions", "bigquery.tables.testIamPermissions"),
    ("GET", TABLE, "bigquery.tables.get"),
    ("PATCH", TABLE, "bigquery.tables.patch"),
    ("PUT", TABLE, "bigquery.tables.update"),
    ("DELETE", TABLE, "bigquery.tables.delete"),
    ("GET", f"{TABLE}/rowAccessPolicies", "bigquery.rowAccessPolicies.list"),
    ("GET", f"{TABLE}/data", "bigquery.tabledata.list"),
    ("POST", f"{TABLE}/insertAll", "bigquery.tabledata.insertAll"),
    ("GET", f"{DATASET}/routines", "bigquery.routines.list"),
    ("GET", f"{DATASET}/models", "bigquery.models.list"),
    ("GET", f"{PROJECT}/jobs", "bigquery.jobs.list"),
    ("POST", f"{PROJECT}/jobs", "bigquery.jobs.insert"),
    ("GET", f"{PROJECT}/jobs/{{jobId}}", "bigquery.jobs.get"),
    ("POST", f"{PROJECT}/jobs/{{jobId}}/cancel", "bigquery.jobs.cancel"),
    ("DELETE", f"{PROJECT}/jobs/{{jobId}}/delete", "bigquery.jobs.delete"),
    ("POST", f"{PROJECT}/queries", "bigquery.jobs.query"),
    ("GET", f"{PROJECT}/queries/{{jobId}}", "bigquery.jobs.getQueryResults"),
)
DISCOVERY = ("/$discovery/rest", "/discovery/v1/apis/bigquery/v2/rest")
UPLOADS = tuple(f"{way}/upload/bigquery/v2{PROJECT}/jobs" for way in ("", "/resumable"))


class BigQueryRoutes:
    """`folder` is where projects' files are, `objects` gives what `gs://` means when it is first asked for."""

    def __init__(self, api: JsonApi, folder: Path, objects: "Callable[[], Objects | None]") -> None:
        self._api = api
        self._folder = folder
        self._objects = objects
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="bigquery-call")
        self._opening: asyncio.Task[BigQuery] | None = None

    def routes(self) -> Iterator[Route]:
        for verb, path, name in PATHS:
            endpoint = self._api.endpoint(name, partial(self._answer, name))
            for prefix in PREFIXES:
                yield Route(prefix + path, endpoint, methods=[verb])
        uploads = Uploads(self._folder / "uploads", self._insert)
        endpoint = self._api.endpoint("bigquery.jobs.insert", uploads.answer)
        for path in DISCOVERY:
            yield Route(path, self._describe)
        for path in UPLOADS:
            yield Route(path, endpoint, methods=["POST", "PUT"])

    async def _describe(self, request: Request) -> Response:
        return body(discovery.document(str(request.base_url), PATHS))

    async def close(self) -> None:
        """Cancels jobs and closes the files, if any were opened."""
        if self._opening is not None:
            service = await self._opening
            await self._thread(service.close)
        self._threads.shutdown()

    async def _answer(self, name: str, request: Request, caller: str) -> Answer:
        given = await _body(request)
        service = await self._service()

        def run() -> Answer:
            from gcp_emulator.bigquery.executor import explained
            from gcp_emulator.bigquery.methods.call import Call
            from gcp_emulator.bigquery.methods.table import METHODS

            call = Call(
                caller,
                request.path_params,
                dict(request.query_params),
                given,
                request.headers.get("if-match", ""),
            )
            try:
                answer: Answer = METHODS[name](service, call)
            except Exception as error:  # the edge: a 500 would be tried again for minutes
                raise explained(error) from error
            return answer

        return await self._thread(run)

    async def _insert(self, project: str, job: dict[str, Any], caller: str, file: Path) -> Answer:
        service = await self._service()

        def run() -> Answer:
            from gcp_emulator.bigquery.methods import jobs

            try:
                started = service.insert(project, job, caller, [file])
            except Refusal:
                file.unlink(missing_ok=True)
                raise
            answer: Answer = jobs.after(started)
            return answer

        return await self._thread(run)

    async def _service(self) -> "BigQuery":
        if self._opening is None:
            self._opening = asyncio.create_task(self._thread(self._open))
        return await asyncio.shield(self._opening)

    def _open(self) -> "BigQuery":
        from gcp_emulator.bigquery.service import BigQuery

        return BigQuery(self._folder, self._objects())

    async def _thread(self, work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        raw = gzip.decompress(raw)
    try:
        given = json.loads(raw or b"{}")
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error: the request's body is no JSON.") from None
    if not isinstance(given, dict):
        raise Refusal(400, "parseError", "Parse Error: the request's body is no JSON object.")
    return given
