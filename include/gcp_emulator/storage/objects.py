"""Objects: written, read, changed, deleted, each under its conditions."""

from collections.abc import Mapping
from typing import Any, BinaryIO

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.conditions import NONE, Conditions
from gcp_emulator.storage.files import Digest, Draft, Files, open_file
from gcp_emulator.storage.mounts import Mounts
from gcp_emulator.storage.names import check_object
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import invalid, no_bucket, no_object
from gcp_emulator.storage.versions import Versions

# https://cloud.google.com/storage/docs/metadata#editable
EDITABLE = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime",
    "eventBasedHold", "temporaryHold", "metadata", "acl", "contexts",
)  # fmt: skip
NOTHING: Mapping[str, Any] = {}
CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")


class Objects:
    """All objects of one emulator. Blocking, for any thread."""

    def __init__(self, catalogue: Catalogue, files: Files, mounts: Mounts, versions: Versions) -> None:
        self.catalogue = catalogue
        self.files = files
        self.mounts = mounts
        self.versions = versions

    def find(
        self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = NONE
    ) -> Record:
        """Refusal 404 without such an object or version, 412 or NotModified by the conditions."""
        self._look(bucket, name)
        return self._found(bucket, name, generation, conditions)

    def read(
        self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = NONE
    ) -> tuple[Record, BinaryIO]:
        """And its bytes, which stay those of this version while the file is open."""
        self._look(bucket, name)
        with self.catalogue.change():
            record = self._found(bucket, name, generation, conditions)
            try:
                return record, open_file(self.files.path(bucket, name, record.place))
            except FileNotFoundError as error:
                raise no_object(bucket, name, generation) from error

    def draft(self) -> Draft:
        return self.files.draft()

    def write(
        self,
        bucket: str,
        name: str,
        draft: Draft,
        given: Mapping[str, Any],
        conditions: Conditions = NONE,
        more: Mapping[str, Any] = NOTHING,
    ) -> Record:
        """Make the draft a new generation; `given` is the metadata of the client, hashes in it are compared.

        `more` are fields that a client cannot set.
        """
        fields = {**fields_of(given), **more}
        self._look(bucket, check_object(name))
        draft.close()
        check_hashes(given, draft)
        with self.catalogue.change():
            if self.catalogue.bucket(bucket) is None:
                raise no_bucket()
            current = self.catalogue.live(bucket, name)
            conditions.check_write(current)
            return self.versions.enter(bucket, name, draft, fields, current)

    def check_write(self, bucket: str, name: str, conditions: Conditions) -> None:
        """Whether a write could be made now: for an upload that is only begun."""
        self._look(bucket, check_object(name))
        conditions.check_write(self.catalogue.live(bucket, name))

    def change(
        self,
        bucket: str,
        name: str,
        given: Mapping[str, Any],
        generation: int | None,
        conditions: Conditions,
        *,
        replace: bool = False,
    ) -> Record:
        """New metadata: merged, or with `replace` instead of what there is."""
        self._look(bucket, name)
        with self.catalogue.change():
            record = self._found(bucket, name, generation, NONE)
            conditions.check_write(record)
            kept = {key: value for key, value in record.fields.items() if not (replace and key in EDITABLE)}
            return self.versions.update(record, _merged(kept, given))

    def delete(self, bucket: str, name: str, generation: int | None, conditions: Conditions) -> None:
        self._look(bucket, name)
        with self.catalogue.change():
            record = self._found(bucket, name, generation, NONE)
            conditions.check_write(record)
            self.versions.leave(record, for_good=generation is not None)

    def _look(self, bucket: str, name: str) -> None:
        if self.catalogue.bucket(bucket) is None:
            raise no_bucket()
        self.mounts.look(bucket, name)

    def _found(self, bucket: str, name: str, generation: int | None, conditions: Conditions) -> Record:
        if generation is None:
            record = self.catalogue.live(bucket, name)
        else:
            record = self.catalogue.version(bucket, name, generation)
        if record is None:
            raise no_object(bucket, name, generation)
        conditions.check_read(record)
        return record


def fields_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a new object has from its client."""
    fields = {key: given[key] for key in EDITABLE if given.get(key) not in (None, "")}
    if given.get("storageClass"):
        if given["storageClass"] not in CLASSES:
            raise invalid(f"The specified storage class '{given['storageClass']}' is not valid.")
        fields["storageClass"] = given["storageClass"]
    if "metadata" in fields:
        fields["metadata"] = _texts(fields["metadata"])
    return fields


def check_hashes(given: Mapping[str, Any], counted: Digest) -> None:
    """Refusal when the client sent other bytes than it meant to."""
    for field, word, actual in (("md5Hash", "MD5 hash", counted.md5), ("crc32c", "CRC32C", counted.crc32c)):
        meant = given.get(field)
        if meant and meant != actual:
            raise Refusal(
                400, "invalid", f'Provided {word} "{meant}" doesn\'t match calculated {word} "{actual}".'
            )


def _merged(kept: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for key in EDITABLE:
        value = given.get(key)
        if key == "metadata" and isinstance(value, Mapping):
            merged = {**kept.get(key, {}), **value}
            kept[key] = _texts({name: text for name, text in merged.items() if text is not None})
        elif value is not None:
            kept[key] = value
        if key in given and (value is None or kept.get(key) == {}):
            kept.pop(key, None)
    return kept


def _texts(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise invalid("Invalid value for: metadata must be an object of strings.")
    return {str(name): text if isinstance(text, str) else str(text) for name, text in metadata.items()}
