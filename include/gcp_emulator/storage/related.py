"""A multipart/related upload: metadata as JSON, then the bytes, out of a file that may be larger than memory."""

import json
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from gcp_emulator.storage.refusals import invalid

HEAD = 1 << 20  # bytes within which the second part must begin
BLANK = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Related:
    """Where the bytes lie in the file, and what is said of them."""

    metadata: dict[str, Any]
    content_type: str
    start: int
    length: int


def boundary_of(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise invalid("Multipart uploads need a Content-Type with a boundary.")
    return b"--" + boundary.strip("'").encode()  # gcloud's quotes are single ones


def related(path: Path, content_type: str) -> Related:
    """Refusal when it is malformed. Some clients end lines with a line feed alone (gcsfs). Blocking."""
    mark, size = boundary_of(content_type), path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        tail_at = max(0, size - len(mark) - 64)
        file.seek(tail_at)
        tail = file.read()
    first = head.find(mark)
    newline = b"\r\n" if head[first + len(mark) :].startswith(b"\r\n") else b"\n"
    second = head.find(newline + mark, first + len(mark))
    blank = BLANK.search(head, first)
    bytes_at = BLANK.search(head, second + len(newline) + len(mark)) if second >= 0 else None
    end = tail.rfind(newline + mark + b"--")
    if first < 0 or blank is None or bytes_at is None or end < 0:
        raise invalid("Malformed multipart body.")
    try:
        metadata = json.loads(head[blank.end() : second] or b"{}")
    except ValueError as error:
        raise invalid("Parse Error: the metadata of the multipart body is no JSON.") from error
    headers = BytesHeaderParser().parsebytes(
        head[second + len(newline) + len(mark) : bytes_at.end()].lstrip()
    )
    start = bytes_at.end()
    return Related(metadata, str(headers.get("Content-Type", "")), start, max(0, tail_at + end - start))
