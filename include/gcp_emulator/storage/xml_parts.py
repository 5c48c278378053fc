"""Multipart uploads of the XML API: https://cloud.google.com/storage/docs/multipart-uploads."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gcp_emulator.storage.files import Draft
from gcp_emulator.storage.objects import Objects, check_hashes
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.xml import XmlRefusal

MOST = 10_000
SMALLEST = 5 << 20  # bytes of every part but the last


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way: parts by number. It ends with the emulator."""

    bucket: str
    name: str
    given: Mapping[str, Any]
    parts: dict[int, Draft] = field(default_factory=dict)


class XmlParts:
    """Blocking, for any thread."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._uploads: dict[str, Upload] = {}

    def begin(self, bucket: str, name: str, given: Mapping[str, Any]) -> str:
        """The upload's id."""
        identifier = secrets.token_urlsafe(48)
        self._uploads[identifier] = Upload(bucket, name, given)
        return identifier

    def add(
        self, bucket: str, name: str, identifier: str, number: int, draft: Draft, hashes: Mapping[str, str]
    ) -> str:
        """Keeps a part in place of one of the same number; its ETag."""
        upload = self._found(bucket, name, identifier)
        if not 1 <= number <= MOST:
            raise XmlRefusal(400, "InvalidArgument", f"Part number must be 1 to {MOST}.")
        draft.close()
        check_hashes(hashes, draft)
        before = upload.parts.get(number)
        upload.parts[number] = draft
        if before is not None:
            before.discard()
        return _etag(draft)

    def complete(self, bucket: str, name: str, identifier: str, wanted: Sequence[tuple[int, str]]) -> Record:
        """The object of the parts that are wanted, in their order."""
        upload = self._found(bucket, name, identifier)
        parts = [upload.parts.get(number) for number, _ in wanted]
        numbers = [number for number, _ in wanted]
        known = [part for part in parts if part is not None]
        if (
            not known
            or len(known) < len(parts)
            or any(_etag(part) != etag for part, (_, etag) in zip(known, wanted, strict=True))
        ):
            raise XmlRefusal(400, "InvalidPart", "One or more of the specified parts could not be found.")
        if numbers != sorted(set(numbers)):
            raise XmlRefusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(part.size < SMALLEST for part in known[:-1]):
            raise XmlRefusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum.")
        draft = self._objects.draft()
        try:
            for part in known:
                with part.path.open("rb") as file:
                    draft.add(file)
            record = self._objects.write(
                bucket, name, draft, upload.given, more={"componentCount": len(known)}
            )
        finally:
            draft.discard()
        self.abort(bucket, name, identifier)
        return record

    def abort(self, bucket: str, name: str, identifier: str) -> None:
        for part in self._found(bucket, name, identifier).parts.values():
            part.discard()
        del self._uploads[identifier]

    def _found(self, bucket: str, name: str, identifier: str) -> Upload:
        upload = self._uploads.get(identifier)
        if upload is None or (upload.bucket, upload.name) != (bucket, name):
            raise XmlRefusal(404, "NoSuchUpload", "The specified upload does not exist.")
        return upload


def _etag(part: Draft) -> str:
    return part.md5
