"""Objects made of objects: copy, rewrite, compose, move."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.conditions import NONE, Conditions, NotModified
from gcp_emulator.storage.names import check_object
from gcp_emulator.storage.objects import EDITABLE, Objects
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import condition_failed, invalid, no_bucket, required

MIB = 1 << 20
AT_ONCE = 1 << 30  # bytes that one call rewrites across locations and classes
SOURCES = 32


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: the live version unless a generation is named."""

    bucket: str
    name: str
    generation: int | None = None
    conditions: Conditions = NONE


@dataclass(frozen=True, slots=True)
class Target:
    bucket: str
    name: str
    conditions: Conditions = NONE


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How far a rewrite is: `record` when it is done, else the token to go on with. In bytes."""

    done: int
    size: int
    token: str = ""
    record: Record | None = None


class Copies:
    """Blocking, for any thread."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._rewrites: dict[str, tuple[Any, int]] = {}

    def copy(self, source: Source, target: Target, given: Mapping[str, Any]) -> Record:
        """With the source's metadata, or with what is given instead."""
        found, file = self._read(source)
        with file:
            return self._copied(found, file, target, given)

    def rewrite(
        self, source: Source, target: Target, given: Mapping[str, Any], token: str, at_most: int | None
    ) -> Rewritten:
        """A copy in steps where bytes must move: between locations or storage classes."""
        if at_most is not None and (at_most == 0 or at_most % MIB):
            raise invalid("maxBytesRewrittenPerCall must be a multiple of 1 MiB.")
        found, file = self._read(source)
        with file:
            what = (found.bucket, found.name, found.generation, target.bucket, target.name)
            known, done = self._rewrites.pop(token, (what, 0))
            if token and (known != what or not done):
                raise invalid("Invalid argument: rewriteToken.")
            step = (at_most or AT_ONCE) if self._moves(found, target, given) else found.size
            if done + step < found.size:
                following = secrets.token_urlsafe(48)
                self._rewrites[following] = (what, done + step)
                return Rewritten(done + step, found.size, following)
            return Rewritten(found.size, found.size, record=self._copied(found, file, target, given))

    def compose(
        self, sources: Sequence[Source], target: Target, given: Mapping[str, Any], *, delete: bool = False
    ) -> Record:
        """The sources' bytes one after the other."""
        if not sources:
            raise required("sourceObjects")
        if len(sources) > SOURCES:
            raise invalid(
                f"The number of source components provided ({len(sources)}) exceeds the maximum ({SOURCES})."
            )
        draft, found = self._objects.draft(), []
        try:
            for source in sources:
                record, file = self._read(source)
                found.append(record)
                with file:
                    draft.add(file)
            count = sum(int(record.fields.get("componentCount", 1)) for record in found)
            about = {"contentType": found[0].fields["contentType"], **given}
            made = self._write(target, draft, about, {"componentCount": count})
        finally:
            draft.discard()
        for record in found if delete else ():
            self._objects.delete(record.bucket, record.name, None, Conditions(generation=record.generation))
        return made

    def move(self, source: Source, name: str, conditions: Conditions) -> Record:
        """Another name in the same bucket; nobody sees both or neither."""
        found, file = self._read(source)
        if name == found.name:
            raise invalid("The source and destination object names must differ.")
        draft = self._objects.draft()
        try:
            with file:
                draft.add(file)
            with self._objects.catalogue.change():
                made = self._write(
                    Target(found.bucket, name, conditions), draft, _metadata(found), _components(found)
                )
                self._objects.delete(found.bucket, found.name, None, Conditions(generation=found.generation))
        finally:
            draft.discard()
        return made

    def _read(self, source: Source) -> tuple[Record, BinaryIO]:
        try:
            return self._objects.read(source.bucket, source.name, source.generation, source.conditions)
        except NotModified as error:
            raise condition_failed() from error

    def _copied(self, found: Record, file: BinaryIO, target: Target, given: Mapping[str, Any]) -> Record:
        self._objects.check_write(target.bucket, target.name, target.conditions)
        about = given if any(given.get(key) for key in (*EDITABLE, "storageClass")) else _metadata(found)
        draft = self._objects.draft()
        try:
            draft.add(file)
            return self._write(target, draft, about, _components(found))
        finally:
            draft.discard()

    def _write(self, target: Target, draft: Any, given: Mapping[str, Any], more: Mapping[str, Any]) -> Record:
        return self._objects.write(
            target.bucket, check_object(target.name), draft, given, target.conditions, more
        )

    def _moves(self, found: Record, target: Target, given: Mapping[str, Any]) -> bool:
        here, there = (self._objects.catalogue.bucket(name) for name in (found.bucket, target.bucket))
        if here is None or there is None:
            raise no_bucket()
        wanted = given.get("storageClass") or there["storageClass"]
        return bool(here["location"] != there["location"] or found.fields["storageClass"] != wanted)


def _metadata(found: Record) -> dict[str, Any]:
    """What a copy takes over; its class is the target bucket's, holds and access do not travel."""
    kept = [key for key in EDITABLE if key not in ("temporaryHold", "eventBasedHold", "acl")]
    return {key: found.fields[key] for key in kept if key in found.fields}


def _components(found: Record) -> dict[str, Any]:
    count = found.fields.get("componentCount")
    return {"componentCount": count} if count else {}


def source_of(bucket: str, given: Mapping[str, Any]) -> Source:
    """A member of a compose's `sourceObjects`."""
    if not given.get("name"):
        raise Refusal(400, "required", "Required parameter: sourceObjects[].name", "sourceObjects")
    wanted = (given.get("objectPreconditions") or {}).get("ifGenerationMatch")
    generation = given.get("generation")
    conditions = Conditions(generation=int(wanted)) if wanted is not None else NONE
    return Source(bucket, given["name"], int(generation) if generation else None, conditions)
