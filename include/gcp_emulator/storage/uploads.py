"""Resumable uploads: https://cloud.google.com/storage/docs/resumable-uploads."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.conditions import Conditions
from gcp_emulator.storage.files import CHUNK, Draft
from gcp_emulator.storage.objects import Objects
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import invalid

KIND = "upload"
MULTIPLE = 256 * 1024  # bytes; of every chunk but the last
RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a request brings: bytes from `start`, None for none; the object's size if it is known. In bytes."""

    start: int | None
    length: int | None
    total: int | None

    @classmethod
    def of(cls, content_range: str | None, content_length: int | None) -> "Chunk":
        """Without a range the request has the whole object."""
        if content_range is None:
            return cls(0, content_length, content_length)
        found = RANGE.fullmatch(content_range.strip())
        if found is None:
            raise invalid(f"Failed to parse Content-Range header: {content_range}")
        total = None if found[3] == "*" else int(found[3])
        if found[1] is None:
            return cls(None, 0, total)
        start, end = int(found[1]), int(found[2])
        length = end - start + 1
        if length < 0 or (total is not None and end >= max(total, 1)):
            raise invalid(f"Invalid Content-Range header: {content_range}")
        if total is None and length % MULTIPLE:
            raise invalid(
                f"A chunk that is not the last must have a multiple of {MULTIPLE} bytes, not {length}."
            )
        return cls(start, length, total)


@dataclass(slots=True)
class Session:
    """An upload under way, begun at (microseconds); `generation` is that of the object once it is there."""

    id: str
    bucket: str
    name: str
    given: Mapping[str, Any]
    conditions: Conditions
    file: str
    begun: int
    generation: int | None = None
    draft: Draft | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def kept(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "given": dict(self.given),
            "conditions": asdict(self.conditions),
            "file": self.file,
            "begun": self.begun,
            "generation": self.generation,
        }


class Uploads:
    """Sessions by id; they outlive the emulator with its state."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._sessions: dict[str, Session] = {}

    def begin(self, bucket: str, name: str, given: Mapping[str, Any], conditions: Conditions) -> Session:
        """Blocking. Refusal when the upload could not be made an object now."""
        self._objects.check_write(bucket, name, conditions)
        draft = self._objects.draft()
        identifier, begun = secrets.token_urlsafe(64), time.time_ns() // 1000
        session = Session(identifier, bucket, name, given, conditions, draft.path.name, begun, draft=draft)
        self._sessions[session.id] = session
        self._objects.catalogue.put_note(KIND, bucket, session.id, session.kept)
        return session

    def find(self, bucket: str, identifier: str) -> Session:
        """Blocking. Refusal 404, or 410 for an upload that failed or was cancelled."""
        if identifier in self._sessions:
            return self._sessions[identifier]
        kept = self._objects.catalogue.note(KIND, bucket, identifier)
        if kept is None:
            raise Refusal(404, "notFound", "Upload session not found.")
        conditions = Conditions(**kept.pop("conditions"))
        session = Session(id=identifier, bucket=bucket, conditions=conditions, **kept)
        path = self._objects.files.aside / session.file
        if session.generation is None:
            session.draft = Draft(path, resume=True)
        return self._sessions.setdefault(identifier, session)

    def cancel(self, session: Session) -> None:
        """Blocking."""
        self._objects.catalogue.drop_note(KIND, session.bucket, session.id)
        self._sessions.pop(session.id, None)
        if session.draft is not None:
            session.draft.discard()

    async def receive(
        self, session: Session, chunk: Chunk, stream: AsyncIterator[bytes], hashes: Mapping[str, str]
    ) -> Record | int:
        """The object when this was the last of it, else how many bytes there are until now."""
        async with session.lock:
            draft = session.draft
            if draft is None:
                return await asyncio.to_thread(
                    self._objects.find, session.bucket, session.name, session.generation
                )
            if chunk.start is not None:
                if chunk.start > draft.size:
                    raise Refusal(503, "backendError", f"Bytes {draft.size}-{chunk.start - 1} are missing.")
                await take(draft, stream, draft.size - chunk.start)
            ends = chunk.length is None or draft.size == chunk.total
            if not ends:
                return draft.size
            return await asyncio.to_thread(self._end, session, draft, hashes)

    def _end(self, session: Session, draft: Draft, hashes: Mapping[str, str]) -> Record:
        given = {**session.given, **hashes}
        try:
            record = self._objects.write(session.bucket, session.name, draft, given, session.conditions)
        except Refusal:
            self.cancel(session)
            raise
        session.generation, session.draft = record.generation, None
        self._objects.catalogue.put_note(KIND, session.bucket, session.id, session.kept)
        self._sessions.pop(session.id, None)
        return record


async def take(draft: Draft, stream: AsyncIterator[bytes], skip: int = 0) -> None:
    """Adds a stream's bytes to a draft, off the event loop, but the first `skip`, which it has already."""
    waiting = bytearray()
    async for data in stream:
        left = data[skip:]
        skip -= len(data) - len(left)
        waiting += left
        if len(waiting) >= CHUNK:
            await asyncio.to_thread(draft.write, bytes(waiting))
            waiting.clear()
    if waiting:
        await asyncio.to_thread(draft.write, bytes(waiting))
