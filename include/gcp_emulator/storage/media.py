"""The bytes of an object as an HTTP answer: ranges, and gzip taken off for clients that cannot."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import BinaryIO
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.files import CHUNK
from gcp_emulator.storage.record import Record

SMALL = 64 * 1024  # bytes that are read at once
RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


class OutOfRange(Refusal):
    """HTTP 416; `size` is the object's, in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", "Range")
        self._size = size

    def answer(self) -> Response:
        answer = super().answer()
        answer.headers["Content-Range"] = f"bytes */{self._size}"
        return answer


def answer(record: Record, file: BinaryIO, asked: Mapping[str, str], *, head: bool = False) -> Response:
    """All of it, or the range that is asked for; Refusal 416. Closes the file in the end."""
    headers = headers_of(record)
    if head or _takes_gzip_off(record, asked):
        whole = head or record.size == 0
        if whole:
            file.close()
            return Response(headers={**headers, "Content-Length": str(record.size)})
        del headers["Content-Encoding"]
        headers["Warning"] = "214 UploadServer gunzipped"
        return StreamingResponse(_plain(file), headers=headers)
    try:
        found = _range(asked.get("range", ""), record.size)
    except Refusal:
        file.close()
        raise
    start, end = found or (0, record.size)
    headers["Content-Length"] = str(end - start)
    if found:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.size}"
    if end - start <= SMALL:
        with file:
            file.seek(start)
            return Response(file.read(end - start), 206 if found else 200, headers=headers)
    return StreamingResponse(_bytes(file, start, end), 206 if found else 200, headers=headers)


def headers_of(record: Record) -> dict[str, str]:
    """https://cloud.google.com/storage/docs/xml-api/reference-headers"""
    fields = record.fields
    hashes = [f"crc32c={fields['crc32c']}"] + ([f"md5={fields['md5Hash']}"] if "md5Hash" in fields else [])
    updated = datetime.fromisoformat(fields["updated"].replace("Z", "+00:00"))
    headers = {
        "Content-Type": fields["contentType"],
        "x-goog-generation": str(record.generation),
        "x-goog-metageneration": str(record.metageneration),
        "x-goog-hash": ",".join(hashes),
        "x-goog-storage-class": fields["storageClass"],
        "x-goog-stored-content-length": str(record.size),
        "x-goog-stored-content-encoding": fields.get("contentEncoding", "identity"),
        "ETag": f'"{record.etag}"',
        "Last-Modified": format_datetime(updated, usegmt=True),
        "Accept-Ranges": "bytes",
        # shares its address with the emulator's own pages, which no object's scripts may reach
        "Content-Security-Policy": "sandbox allow-scripts",
    }
    said = {
        "Content-Encoding": "contentEncoding",
        "Content-Disposition": "contentDisposition",
        "Content-Language": "contentLanguage",
        "Cache-Control": "cacheControl",
    }
    headers |= {header: fields[field] for header, field in said.items() if field in fields}
    meta = {f"x-goog-meta-{name}": value for name, value in fields.get("metadata", {}).items()}
    return {name: _latin(value) for name, value in {**headers, **meta}.items()}


def _latin(text: str) -> str:
    """Headers hold no line ends, and nothing but Latin-1."""
    plain = text.isprintable() and text.isascii()
    return text if plain else quote(text, safe=" /;=,\"'")


def _takes_gzip_off(record: Record, asked: Mapping[str, str]) -> bool:
    """https://cloud.google.com/storage/docs/transcoding"""
    return (
        record.fields.get("contentEncoding") == "gzip"
        and "gzip" not in asked.get("accept-encoding", "")
        and "no-transform" not in record.fields.get("cacheControl", "")
    )


def _range(text: str, size: int) -> tuple[int, int] | None:
    """(start, end) with an exclusive end; None for everything, also when the header cannot be read."""
    found = RANGE.fullmatch(text.strip())
    if found is None:
        return None
    if found[3] is not None:
        start, end = max(0, size - int(found[3])), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    if start >= end:
        raise OutOfRange(size)
    return start, end


async def _bytes(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        file.seek(start)
        while start < end:
            data = await asyncio.to_thread(file.read, min(CHUNK, end - start))
            if not data:
                return
            start += len(data)
            yield data
    finally:
        file.close()


async def _plain(file: BinaryIO) -> AsyncIterator[bytes]:
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        while data := await asyncio.to_thread(file.read, CHUNK):
            yield inflate.decompress(data)
        yield inflate.flush()
    finally:
        file.close()
