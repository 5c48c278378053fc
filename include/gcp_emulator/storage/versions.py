"""How versions of objects come and go: the one place that changes files, the catalogue and tells of it."""

from collections.abc import Mapping
from dataclasses import replace
from os import stat_result
from typing import Any

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.changes import Changes, Event
from gcp_emulator.storage.files import Digest, Draft, Files, look, stamp
from gcp_emulator.storage.record import Record, moment
from gcp_emulator.storage.refusals import no_bucket

OCTETS = "application/octet-stream"


class Versions:
    """Every method is for callers within `catalogue.change()`. Blocking."""

    def __init__(self, catalogue: Catalogue, files: Files, changes: Changes) -> None:
        self.catalogue = catalogue
        self.files = files
        self._changes = changes

    def enter(
        self, bucket: str, name: str, draft: Draft, fields: Mapping[str, Any], current: Record | None
    ) -> Record:
        """The draft becomes the live version; `current` is the one until now, `fields` what the client says."""
        generation = self.catalogue.next_number()
        if current is not None:
            check_holds(current)
            self._retire(current, generation)
        place = self.files.keep(draft.path, bucket, name)
        found = self.files.path(bucket, name, place).stat()
        return self._new(bucket, name, generation, place, found, draft, fields, current)

    def adopt(
        self,
        bucket: str,
        name: str,
        found: stat_result,
        digest: Digest,
        fields: Mapping[str, Any],
        current: Record | None,
    ) -> Record:
        """A file that a job wrote becomes the live version where it lies; the bytes before it are lost."""
        generation = self.catalogue.next_number()
        if current is not None:
            self._forget(current, generation)
        return self._new(bucket, name, generation, "", found, digest, fields, current)

    def leave(self, record: Record, *, for_good: bool) -> None:
        """A version is deleted; a live one stays as a noncurrent one where the bucket keeps versions."""
        check_holds(record)
        if record.live and not for_good:
            self._retire(record, None)
        else:
            self._forget(record, None)
        if record.live and not record.place:
            self.files.path(record.bucket, record.name, "").unlink(missing_ok=True)

    def forget(self, record: Record) -> None:
        """The bytes are gone already."""
        self._forget(record, None)

    def update(self, record: Record, fields: Mapping[str, Any]) -> Record:
        """New metadata for a version."""
        now = moment(self.catalogue.next_number())
        counted = {"metageneration": str(record.metageneration + 1), "updated": now}
        changed = replace(record, fields={**fields, **counted})
        self.catalogue.put(changed)
        self._changes.tell(Event.METADATA_UPDATE, changed)
        return changed

    def _new(
        self,
        bucket: str,
        name: str,
        generation: int,
        place: str,
        found: stat_result,
        digest: Digest,
        fields: Mapping[str, Any],
        current: Record | None,
    ) -> Record:
        about = self.catalogue.bucket(bucket)
        if about is None:
            raise no_bucket()
        now = moment(generation)
        times = dict.fromkeys(("timeCreated", "updated", "timeStorageClassUpdated", "timeFinalized"), now)
        defaults: dict[str, Any] = {"contentType": OCTETS, "storageClass": about["storageClass"]}
        told = {"metageneration": "1", **times, "md5Hash": digest.md5, "crc32c": digest.crc32c}
        if fields.get("componentCount"):
            del told["md5Hash"]
        if about.get("defaultEventBasedHold"):
            defaults["eventBasedHold"] = True
        record = Record(
            bucket, name, generation, True, place, digest.size, stamp(found), {**defaults, **told, **fields}
        )
        self.catalogue.put(record)
        more = {"overwroteGeneration": str(current.generation)} if current else {}
        self._changes.tell(Event.FINALIZE, record, **more)
        return record

    def _retire(self, record: Record, by: int | None) -> None:
        about = self.catalogue.bucket(record.bucket) or {}
        if not about.get("versioning", {}).get("enabled"):
            self._forget(record, by)
            return
        path = self.files.path(record.bucket, record.name, record.place)
        place = record.place or (self.files.put_aside(path) if look(path) else "")
        fields = {**record.fields, "timeDeleted": moment(by or self.catalogue.next_number())}
        archived = replace(record, live=False, place=place, fields=fields)
        self.catalogue.put(archived)
        self._changes.tell(Event.ARCHIVE, archived, **_overwritten(by))

    def _forget(self, record: Record, by: int | None) -> None:
        if record.place:
            self.files.path(record.bucket, record.name, record.place).unlink(missing_ok=True)
        self.catalogue.remove(record)
        deleted = moment(by or self.catalogue.next_number())
        gone = replace(record, fields={**record.fields, "timeDeleted": deleted})
        self._changes.tell(Event.DELETE, gone, **_overwritten(by))


def check_holds(record: Record) -> None:
    """Refusal for an object that is held: https://cloud.google.com/storage/docs/object-holds."""
    for field, word in (("temporaryHold", "Temporary"), ("eventBasedHold", "Event-Based")):
        if record.fields.get(field):
            raise Refusal(
                403,
                "forbidden",
                f"Object '{record.bucket}/{record.name}' is under active {word} hold and cannot be deleted, "
                "overwritten or archived until hold is removed.",
            )


def _overwritten(by: int | None) -> dict[str, str]:
    return {"overwrittenByGeneration": str(by)} if by else {}
