"""The XML API: `/bucket/object`, for signed URLs, public links and multipart uploads."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gcp_emulator import identity
from gcp_emulator.calls import CallLog
from gcp_emulator.errors import ApiError
from gcp_emulator.faults.calls import CallFaults
from gcp_emulator.json_api import Refusal, refusal
from gcp_emulator.storage import xml
from gcp_emulator.storage.call import base
from gcp_emulator.storage.conditions import Conditions, NotModified, number
from gcp_emulator.storage.listing import Wanted
from gcp_emulator.storage.media import answer, headers_of
from gcp_emulator.storage.names import beyond, check_object, is_bucket
from gcp_emulator.storage.shelf import Shelf
from gcp_emulator.storage.signed import signer
from gcp_emulator.storage.upload_calls import hashes_of
from gcp_emulator.storage.uploads import Uploads, take
from gcp_emulator.storage.xml import XmlRefusal
from gcp_emulator.storage.xml_parts import XmlParts

META = "x-goog-meta-"
HEADERS = {
    "content-type": "contentType",
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "x-goog-storage-class": "storageClass",
}
CONDITIONS = {
    "ifGenerationMatch": "x-goog-if-generation-match",
    "ifMetagenerationMatch": "x-goog-if-metageneration-match",
}
Work = Callable[[Request, str, str], Awaitable[Response]]


class XmlCalls:
    """Answers what no other route does, where the first word of the path is a bucket."""

    def __init__(self, shelf: Shelf, uploads: Uploads, calls: CallLog, faults: CallFaults) -> None:
        self._shelf = shelf
        self._calls = calls
        self._faults = faults
        self._parts = XmlParts(shelf.objects)
        self._uploads = uploads
        self._table: dict[tuple[str, str], tuple[str, Work]] = {
            ("GET", "bucket"): ("storage.objects.list", self._list),
            ("GET", ""): ("storage.objects.get", self._get),
            ("PUT", ""): ("storage.objects.insert", self._put),
            ("DELETE", ""): ("storage.objects.delete", self._delete),
            ("POST", ""): ("storage.objects.insert", self._resumable),
            ("POST", "uploads"): ("storage.multipartUploads.create", self._begin),
            ("PUT", "partNumber"): ("storage.multipartUploads.insertPart", self._part),
            ("POST", "uploadId"): ("storage.multipartUploads.complete", self._complete),
            ("DELETE", "uploadId"): ("storage.multipartUploads.abort", self._abort),
        }

    async def answer(self, request: Request) -> Response | None:
        """None when the path is none of a bucket."""
        path = request.scope["raw_path"].decode("ascii").partition("?")[0].lstrip("/")
        bucket, _, rest = path.partition("/")
        name = unquote(rest)
        signed = any(word in request.query_params for word in ("X-Goog-Signature", "GoogleAccessId"))
        if not is_bucket(bucket) or not (signed or self._shelf.catalogue.project(bucket)):
            return None
        try:
            method, work = self._work(request, name)
            who = signer(request.query_params, request.headers, datetime.now(UTC))
            caller = who or identity.caller(request.headers.get("authorization"))
            self._calls.add(method, caller, "rest")
            await self._faults.before(method, caller)
            return await work(request, bucket, name)
        except NotModified:
            return Response(status_code=304)
        except ClientDisconnect:
            return Response(status_code=499)
        except XmlRefusal as error:
            return error.answer()
        except Refusal as error:
            return XmlRefusal.of(error).answer()
        except ApiError as error:
            return XmlRefusal.of(refusal(error)).answer()

    def _work(self, request: Request, name: str) -> tuple[str, Work]:
        """The method's name, as the JSON API has it, and what does it."""
        query = request.query_params
        kind = next((word for word in ("partNumber", "uploadId", "uploads") if word in query), "")
        verb = "GET" if request.method == "HEAD" else request.method
        found = self._table.get((verb, kind if name else "bucket"))
        if found is None:
            raise XmlRefusal(
                405, "MethodNotAllowed", "The specified method is not allowed against this resource."
            )
        return found

    async def _list(self, request: Request, bucket: str, name: str) -> Response:
        query = request.query_params
        wanted = Wanted(
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            limit=min(max(number(query, "max-keys") or 1000, 1), 1000),
            start=after_name(
                query.get("marker") or query.get("start-after") or "", query.get("delimiter", "")
            ),
            token=query.get("continuation-token", ""),
        )
        page = await asyncio.to_thread(self._shelf.list, bucket, wanted)
        return xml.listed(bucket, page, wanted.prefix, wanted.delimiter)

    async def _get(self, request: Request, bucket: str, name: str) -> Response:
        generation = number(request.query_params, "generation")
        wanted = bucket, name, generation, conditions_of(request)
        record, file = await asyncio.to_thread(self._shelf.objects.read, *wanted)
        return answer(record, file, request.headers, head=request.method == "HEAD")

    async def _put(self, request: Request, bucket: str, name: str) -> Response:
        if "x-goog-copy-source" in request.headers:
            raise XmlRefusal(501, "NotImplemented", "The emulator copies through the JSON API only.")
        draft = await asyncio.to_thread(self._shelf.objects.draft)
        try:
            await take(draft, request.stream())
            given = {**given_of(request), **hashes_of(request.headers)}
            record = await asyncio.to_thread(
                self._shelf.objects.write, bucket, name, draft, given, conditions_of(request)
            )
        finally:
            await asyncio.to_thread(draft.discard)
        wanted = ("x-goog-generation", "x-goog-metageneration", "x-goog-hash", "ETag")
        headers = headers_of(record)
        return Response(headers={header: headers[header] for header in wanted})

    async def _resumable(self, request: Request, bucket: str, name: str) -> Response:
        """Begins an upload that goes on by the JSON API's URL, which needs no signature."""
        if request.headers.get("x-goog-resumable") != "start":
            raise XmlRefusal(501, "NotImplemented", "The emulator takes no uploads by HTML form.")
        begin, given = self._uploads.begin, given_of(request)
        session = await asyncio.to_thread(begin, bucket, name, given, conditions_of(request))
        url = f"{base(request)}/upload/storage/v1/b/{bucket}/o?upload_id={session.id}"
        return Response(status_code=201, headers={"Location": url, "X-GUploader-UploadID": session.id})

    async def _delete(self, request: Request, bucket: str, name: str) -> Response:
        generation = number(request.query_params, "generation")
        await asyncio.to_thread(self._shelf.objects.delete, bucket, name, generation, conditions_of(request))
        return Response(status_code=204)

    async def _begin(self, request: Request, bucket: str, name: str) -> Response:
        await asyncio.to_thread(self._shelf.buckets.find, bucket)
        return xml.begun(bucket, name, self._parts.begin(bucket, check_object(name), given_of(request)))

    async def _part(self, request: Request, bucket: str, name: str) -> Response:
        query = request.query_params
        draft = await asyncio.to_thread(self._shelf.objects.draft)
        part = number(query, "partNumber") or 0
        try:
            await take(draft, request.stream())
            hashes = hashes_of(request.headers)
            etag = await asyncio.to_thread(
                self._parts.add, bucket, name, query.get("uploadId", ""), part, draft, hashes
            )
        except BaseException:
            await asyncio.to_thread(draft.discard)
            raise
        return Response(
            headers={"ETag": f'"{etag}"', "x-goog-hash": f"crc32c={draft.crc32c},md5={draft.md5}"}
        )

    async def _complete(self, request: Request, bucket: str, name: str) -> Response:
        wanted = xml.parts_of(await request.body())
        upload = request.query_params["uploadId"]
        record = await asyncio.to_thread(self._parts.complete, bucket, name, upload, wanted)
        url = f"{base(request)}/{bucket}/{quote(name, safe='')}"
        return xml.completed(bucket, name, url, record.etag)

    async def _abort(self, request: Request, bucket: str, name: str) -> Response:
        await asyncio.to_thread(self._parts.abort, bucket, name, request.query_params["uploadId"])
        return Response(status_code=204)


def after_name(name: str, delimiter: str) -> str:
    """Where a list begins that goes on after a name, or after all of a folder."""
    if delimiter and name.endswith(delimiter):
        return beyond(name) or name
    return f"{name}\0" if name else ""


def conditions_of(request: Request) -> Conditions:
    """Out of the headers, or for signed URLs that a client has made for it, the query."""
    said = {name: request.headers[header] for name, header in CONDITIONS.items() if header in request.headers}
    return Conditions.of({**request.query_params, **said})


def given_of(request: Request) -> dict[str, Any]:
    """Metadata in the headers."""
    given: dict[str, Any] = {
        field: request.headers[header] for header, field in HEADERS.items() if header in request.headers
    }
    meta = {name.removeprefix(META): text for name, text in request.headers.items() if name.startswith(META)}
    return {**given, **({"metadata": meta} if meta else {})}
