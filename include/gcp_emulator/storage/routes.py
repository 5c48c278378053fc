"""The paths of the JSON API. Names in them are percent-encoded, so they are split before they are decoded."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gcp_emulator.json_api import Answer, Handler, JsonApi, Refusal
from gcp_emulator.storage.access import Lists, Policies
from gcp_emulator.storage.batch import BatchCalls
from gcp_emulator.storage.bucket_calls import BucketCalls, NotificationCalls
from gcp_emulator.storage.call import Call, read
from gcp_emulator.storage.conditions import NotModified
from gcp_emulator.storage.media import answer
from gcp_emulator.storage.object_calls import ObjectCalls
from gcp_emulator.storage.shelf import Shelf
from gcp_emulator.storage.upload_calls import UploadCalls
from gcp_emulator.storage.uploads import Uploads

Blocking: TypeAlias = Callable[[Call], Mapping[str, Any] | None]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
BUCKET, OBJECT = "b/{bucket}", "b/{bucket}/o/{object}"
UPLOADS = ("upload/storage/v1", "resumable/upload/storage/v1")


class StorageRoutes:
    """Endpoints by verb and path."""

    def __init__(
        self, shelf: Shelf, uploads: Uploads, api: JsonApi, notifications: NotificationCalls
    ) -> None:
        self._shelf = shelf
        self._api = api
        self._table: dict[tuple[str, int], list[tuple[list[str], Endpoint]]] = {}
        self._buckets(BucketCalls(shelf))
        self._access(shelf)
        self._notifications(notifications)
        self._objects(ObjectCalls(shelf))
        self._bytes(UploadCalls(shelf, uploads))

    def routes(self) -> list[Route]:
        batch = BatchCalls(self.answer)
        prefixes = ("storage/v1", "download/storage/v1", *UPLOADS)
        return [
            Route("/batch/storage/v1", self._api.endpoint("storage.batch", batch.answer), methods=["POST"]),
            *(Route(f"/{prefix}/{{path:path}}", self.answer, methods=VERBS) for prefix in prefixes),
        ]

    async def answer(self, request: Request) -> Response:
        """The answer to any request of the JSON API."""
        path = request.scope["raw_path"].decode("ascii").partition("?")[0].strip("/")
        words = [unquote(word) for word in path.split("/")]
        for pattern, endpoint in self._table.get((request.method, len(words)), ()):
            found = _match(pattern, words)
            if found is not None:
                request.scope["path_params"] = found
                return await endpoint(request)
        return Refusal(404, "notFound", f"Not Found: {request.method} /{path}").answer()

    def _add(self, verb: str, path: str, method: str, blocking: Blocking) -> None:
        async def handler(request: Request, caller: str) -> Answer:
            call = await read(request, caller)
            try:
                return await asyncio.to_thread(blocking, call)
            except NotModified:
                return Response(status_code=304)

        self._route(verb, f"storage/v1/{path}", self._api.endpoint(f"storage.{method}", handler))

    def _route(self, verb: str, path: str, endpoint: Endpoint) -> None:
        pattern = path.split("/")
        self._table.setdefault((verb, len(pattern)), []).append((pattern, endpoint))

    def _buckets(self, calls: BucketCalls) -> None:
        self._add("POST", "b", "buckets.insert", calls.insert)
        self._add("GET", "b", "buckets.list", calls.list)
        self._add("GET", BUCKET, "buckets.get", calls.get)
        self._add("PATCH", BUCKET, "buckets.patch", calls.patch)
        self._add("PUT", BUCKET, "buckets.update", calls.update)
        self._add("DELETE", BUCKET, "buckets.delete", calls.delete)
        self._add("GET", f"{BUCKET}/storageLayout", "buckets.getStorageLayout", calls.layout)
        self._add("GET", f"{BUCKET}/managedFolders", "managedFolders.list", calls.no_folders)

    def _access(self, shelf: Shelf) -> None:
        policies = Policies(shelf)
        self._add("GET", f"{BUCKET}/iam", "buckets.getIamPolicy", policies.get)
        self._add("PUT", f"{BUCKET}/iam", "buckets.setIamPolicy", policies.set)
        self._add("GET", f"{BUCKET}/iam/testPermissions", "buckets.testIamPermissions", policies.test)
        for path, which, kind in (
            (f"{BUCKET}/acl", "acl", "bucketAccessControls"),
            (f"{BUCKET}/defaultObjectAcl", "defaultObjectAcl", "defaultObjectAccessControls"),
            (f"{OBJECT}/acl", "object", "objectAccessControls"),
        ):
            lists = Lists(shelf, which)
            self._add("GET", path, f"{kind}.list", lists.all)
            self._add("POST", path, f"{kind}.insert", lists.put)
            self._add("GET", f"{path}/{{entity}}", f"{kind}.get", lists.get)
            self._add("PUT", f"{path}/{{entity}}", f"{kind}.update", lists.put)
            self._add("PATCH", f"{path}/{{entity}}", f"{kind}.patch", lists.put)
            self._add("DELETE", f"{path}/{{entity}}", f"{kind}.delete", lists.delete)

    def _notifications(self, calls: NotificationCalls) -> None:
        self._add(
            "GET", "projects/{project}/serviceAccount", "projects.serviceAccount.get", calls.service_account
        )
        path = f"{BUCKET}/notificationConfigs"
        self._add("POST", path, "notifications.insert", calls.insert)
        self._add("GET", path, "notifications.list", calls.list)
        self._add("GET", f"{path}/{{notification}}", "notifications.get", calls.get)
        self._add("DELETE", f"{path}/{{notification}}", "notifications.delete", calls.delete)

    def _objects(self, calls: ObjectCalls) -> None:
        self._add("GET", f"{BUCKET}/o", "objects.list", calls.list)
        self._add("PATCH", OBJECT, "objects.patch", calls.patch)
        self._add("PUT", OBJECT, "objects.update", calls.update)
        self._add("DELETE", OBJECT, "objects.delete", calls.delete)
        self._add("POST", f"{OBJECT}/compose", "objects.compose", calls.compose)
        there = "b/{target_bucket}/o/{target}"
        self._add("POST", f"{OBJECT}/copyTo/{there}", "objects.copy", calls.copy)
        self._add("POST", f"{OBJECT}/rewriteTo/{there}", "objects.rewrite", calls.rewrite)
        self._add("POST", f"{OBJECT}/moveTo/o/{{target}}", "objects.move", calls.move)
        get = self._api.endpoint("storage.objects.get", self._getter(calls))
        for prefix in ("storage/v1", "download/storage/v1"):
            self._route("GET", f"{prefix}/{OBJECT}", get)

    def _getter(self, calls: ObjectCalls) -> Callable[[Request, str], Awaitable[Answer]]:
        async def handler(request: Request, caller: str) -> Answer:
            call = await read(request, caller, with_body=False)
            try:
                if call.query.get("alt") != "media":
                    return await asyncio.to_thread(calls.get, call)
                wanted = call.bucket, call.object, call.generation, call.conditions
                record, file = await asyncio.to_thread(self._shelf.objects.read, *wanted)
                return answer(record, file, call.headers)
            except NotModified:
                return Response(status_code=304)

        return handler

    def _bytes(self, calls: UploadCalls) -> None:
        insert = self._api.endpoint("storage.objects.insert", _while_connected(calls.insert))
        receive = self._api.endpoint("storage.objects.insert", _while_connected(calls.receive))
        for prefix in UPLOADS:
            self._route("POST", f"{prefix}/{BUCKET}/o", insert)
            self._route("PUT", f"{prefix}/{BUCKET}/o", receive)
            self._route("DELETE", f"{prefix}/{BUCKET}/o", receive)


def _while_connected(handler: Handler) -> Handler:
    """An upload whose client is gone ends quietly; what is there of a resumable one stays."""

    async def watched(request: Request, caller: str) -> Answer:
        try:
            return await handler(request, caller)
        except ClientDisconnect:
            return Response(status_code=499)

    return watched


def _match(pattern: list[str], words: list[str]) -> dict[str, str] | None:
    """The names in the path, by those in the pattern; None when it does not fit."""
    found = {}
    for expected, word in zip(pattern, words, strict=True):
        if expected.startswith("{"):
            found[expected[1:-1]] = word
        elif expected != word:
            return None
    return found
