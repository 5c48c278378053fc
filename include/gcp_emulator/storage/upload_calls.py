"""storage.objects.insert in its three forms: media, multipart, resumable."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gcp_emulator.json_api import Answer, body
from gcp_emulator.storage.call import Call, read
from gcp_emulator.storage.conditions import Conditions
from gcp_emulator.storage.object_calls import shown
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import required
from gcp_emulator.storage.related import Related, related
from gcp_emulator.storage.shelf import Shelf
from gcp_emulator.storage.uploads import Chunk, Uploads, take

HASH = re.compile(r"(crc32c|md5)=([A-Za-z0-9+/=]+)")
FIELDS = {"crc32c": "crc32c", "md5": "md5Hash"}


class UploadCalls:
    """Bytes go from the request to a file as they come."""

    def __init__(self, shelf: Shelf, uploads: Uploads) -> None:
        self._shelf = shelf
        self._objects = shelf.objects
        self._uploads = uploads

    async def insert(self, request: Request, caller: str) -> Answer:
        if "upload_id" in request.query_params:
            return await self.receive(request, caller)
        kind = request.query_params.get("uploadType")
        if kind == "resumable":
            return await self._begin(request, caller)
        if kind not in ("media", "multipart"):
            raise required("uploadType")
        call = await read(request, caller, with_body=False)
        await asyncio.to_thread(self._shelf.buckets.find, call.bucket)
        draft = await asyncio.to_thread(self._objects.draft)
        try:
            await take(draft, request.stream())
            if kind == "media":
                given = {"contentType": call.headers.get("content-type"), **_said(call)}
                record = await asyncio.to_thread(self._write, call, draft, given)
            else:
                record = await asyncio.to_thread(self._write_part, call, draft)
        finally:
            await asyncio.to_thread(draft.discard)
        return shown(record, call)

    async def receive(self, request: Request, caller: str) -> Answer:
        """Bytes of a resumable upload, a question how far it is, or its end."""
        call = await read(request, caller, with_body=False)
        session = await asyncio.to_thread(self._uploads.find, call.bucket, call.query.get("upload_id", ""))
        if request.method == "DELETE":
            await asyncio.to_thread(self._uploads.cancel, session)
            return Response(status_code=499)
        length = call.headers.get("content-length")
        chunk = Chunk.of(call.headers.get("content-range"), int(length) if length else None)
        hashes = hashes_of(call.headers, whole=False)
        done = await self._uploads.receive(session, chunk, request.stream(), hashes)
        identity = {"X-GUploader-UploadID": session.id}
        if isinstance(done, Record):
            return body(shown(done, call), headers=identity)
        return Response(
            status_code=308, headers={**identity, **({"Range": f"bytes=0-{done - 1}"} if done else {})}
        )

    async def _begin(self, request: Request, caller: str) -> Response:
        call = await read(request, caller)
        given = {**call.body, **_said(call)}
        given.setdefault("contentType", call.headers.get("x-upload-content-type"))
        name = str(given.get("name") or "")
        await asyncio.to_thread(self._shelf.buckets.find, call.bucket)
        session = await asyncio.to_thread(self._uploads.begin, call.bucket, name, given, call.conditions)
        path = f"{call.base}/upload/storage/v1/b/{call.bucket}/o?uploadType=resumable&upload_id={session.id}"
        return Response(headers={"Location": path, "X-GUploader-UploadID": session.id})

    def _write(self, call: Call, draft: Any, given: Mapping[str, Any]) -> Record:
        name, conditions = str(given.get("name") or ""), Conditions.of(call.query)
        whole = call.query.get("uploadType") == "media"
        given = {**given, **hashes_of(call.headers, whole=whole)}
        return self._objects.write(call.bucket, name, draft, given, conditions)

    def _write_part(self, call: Call, raw: Any) -> Record:
        raw.close()
        found: Related = related(raw.path, call.headers.get("content-type", ""))
        given = {**found.metadata, **_said(call)}
        given["contentType"] = given.get("contentType") or found.content_type
        draft = self._objects.draft()
        try:
            with raw.path.open("rb") as file:
                draft.add(file, found.start, found.length)
            return self._write(call, draft, given)
        finally:
            draft.discard()


def hashes_of(headers: Mapping[str, str], *, whole: bool = True) -> dict[str, str]:
    """What the client says of the object: X-Goog-Hash, and where the body is the `whole` object, Content-MD5."""
    found = {FIELDS[name]: value for name, value in HASH.findall(headers.get("x-goog-hash", ""))}
    if whole and "content-md5" in headers:
        found.setdefault("md5Hash", headers["content-md5"])
    return found


def _said(call: Call) -> dict[str, str]:
    """Metadata in the query."""
    names = {"name": "name", "contentEncoding": "contentEncoding"}
    return {field: call.query[name] for name, field in names.items() if call.query.get(name)}
