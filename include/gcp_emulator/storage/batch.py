"""`POST /batch/storage/v1`: up to a hundred calls in one request, https://cloud.google.com/storage/docs/batch."""

from collections.abc import Awaitable, Callable
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gcp_emulator.json_api import Answer
from gcp_emulator.storage.refusals import invalid

CALLS = 100
BOUNDARY = "batch_of_the_emulator"


class BatchCalls:
    """Hands each part to `endpoint` and puts the answers together, in the same order."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def answer(self, request: Request, caller: str) -> Answer:
        kind = request.headers.get("content-type", "")
        head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
        message = BytesParser().parsebytes(head + await request.body())
        parts = message.get_payload() if message.is_multipart() else None
        if not isinstance(parts, list) or not parts:
            raise invalid("Failed to parse batch request: it must be multipart/mixed.")
        if len(parts) > CALLS:
            raise invalid(f"Failed to parse batch request: {len(parts)} calls, at most {CALLS} are allowed.")
        made = [await self._part(request, part) for part in parts if isinstance(part, Message)]
        body = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in made)
        return Response(
            body + f"--{BOUNDARY}--".encode(),
            headers={"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"},
        )

    async def _part(self, outer: Request, part: Message) -> bytes:
        answer = await self._endpoint(_request(outer, part))
        if isinstance(answer, StreamingResponse):
            raise invalid("Failed to parse batch request: downloads cannot be part of a batch.")
        phrase = HTTPStatus(answer.status_code).phrase if answer.status_code in set(HTTPStatus) else ""
        identifier = str(part.get("Content-ID", "")).strip("<>")
        lines = ["Content-Type: application/http", f"Content-ID: <response-{identifier}>", ""]
        lines += [f"HTTP/1.1 {answer.status_code} {phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + bytes(answer.body)


def _request(outer: Request, part: Message) -> Request:
    """The request that a part of type application/http holds."""
    text = part.get_payload(decode=True)
    if not isinstance(text, bytes):
        raise invalid("Failed to parse batch request: a part is no HTTP request.")
    first, _, rest = text.lstrip().partition(b"\n")
    words = first.decode("latin-1").split()
    if len(words) < 2:
        raise invalid("Failed to parse batch request: a part is no HTTP request.")
    inner = BytesParser().parsebytes(rest)
    url = urlsplit(words[1])
    payload = inner.get_payload(decode=True)
    body = payload if isinstance(payload, bytes) else b""
    kept = {"authorization", "host"}
    headers = {name.lower(): value for name, value in outer.headers.items() if name.lower() in kept}
    headers |= {name.lower(): str(value) for name, value in inner.items()}
    scope = {
        "type": "http",
        "method": words[0].upper(),
        "scheme": outer.url.scheme,
        "path": url.path,
        "raw_path": url.path.encode("ascii", "replace"),
        "query_string": url.query.encode("ascii", "replace"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": outer.scope.get("client"),
        "server": outer.scope.get("server"),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)
