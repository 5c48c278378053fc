"""Load jobs whose file comes with them: https://cloud.google.com/bigquery/docs/reference/api-uploads.

Multipart: the job and the file in one body. Resumable: the job first, the file in chunks to the address in its answer.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gcp_emulator.json_api import Answer, Refusal

Insert = Callable[[str, dict[str, Any], str, Path], Awaitable[Answer]]
RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(slots=True)
class Upload:
    """A resumable upload under way."""

    project: str
    body: dict[str, Any]
    caller: str
    path: Path


class Uploads:
    """`insert` starts the job and removes the file when it has ended."""

    def __init__(self, folder: Path, insert: Insert) -> None:
        self._folder = folder
        self._insert = insert
        self._uploads: dict[str, Upload] = {}

    async def answer(self, request: Request, caller: str) -> Answer:
        project = request.path_params["projectId"]
        id_ = request.query_params.get("upload_id")
        if id_:
            return await self._chunk(id_, request)
        kind = request.query_params.get("uploadType")
        if kind == "multipart":
            job, data = parts(request.headers.get("content-type", ""), await request.body())
            path = self._new()
            await asyncio.to_thread(path.write_bytes, data)
            return await self._insert(project, job, caller, path)
        if kind == "resumable":
            return self._begin(request, Upload(project, _json(await request.body()), caller, self._new()))
        raise Refusal(400, "invalid", f"Invalid value for uploadType: {kind}", "uploadType")

    def _begin(self, request: Request, upload: Upload) -> Response:
        id_ = uuid.uuid4().hex
        self._uploads[id_] = upload
        address = request.url.include_query_params(upload_id=id_)
        return Response(status_code=200, headers={"Location": str(address), "X-GUploader-UploadID": id_})

    async def _chunk(self, id_: str, request: Request) -> Answer:
        upload = self._uploads.get(id_)
        if upload is None:
            raise Refusal(404, "notFound", f"Upload {id_} not found: it has ended.")
        if request.method == "DELETE":
            upload.path.unlink(missing_ok=True)
            del self._uploads[id_]
            return Response(status_code=499)
        header = request.headers.get("content-range", "")
        found = RANGE.fullmatch(header)
        size = upload.path.stat().st_size
        if found and found[1] and int(found[1]) > size:
            raise Refusal(400, "invalid", f"Chunk begins at {found[1]}, but only {size} bytes are here.")
        size = await self._append(upload.path, int(found[1]) if found and found[1] else size, request)
        total = found[3] if found else str(size)
        if total == "*" or size < int(total):
            return Response(status_code=308, headers={"Range": f"bytes=0-{size - 1}"} if size else {})
        del self._uploads[id_]
        return await self._insert(upload.project, upload.body, upload.caller, upload.path)

    async def _append(self, path: Path, start: int, request: Request) -> int:
        """The file's size with the chunk, which may repeat bytes that are there."""
        with path.open("r+b") as file:
            file.seek(start)
            async for part in request.stream():
                await asyncio.to_thread(file.write, part)
            file.truncate()
            return file.tell()

    def _new(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / uuid.uuid4().hex
        path.touch()
        return path


def parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The job and the file of a multipart/related body."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if found is None:
        raise Refusal(400, "invalid", "A multipart upload needs a boundary in its content-type.")
    mark = b"--" + found[1].encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 4:
        raise Refusal(400, "invalid", "A multipart upload has two parts: the job and the file.")
    job = pieces[1].partition(b"\r\n\r\n")[2]
    data = (b"\r\n" + mark).join(pieces[2:-1])
    return _json(job), data.partition(b"\r\n\r\n")[2]


def _json(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text or b"{}")
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error: the job is no JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "parseError", "Parse Error: the job is no JSON object.")
    return body
