"""storage.objects.*, but for the bytes themselves."""

from typing import Any

from gcp_emulator.storage.call import Call
from gcp_emulator.storage.conditions import Conditions, number
from gcp_emulator.storage.copies import Copies, Source, Target, source_of
from gcp_emulator.storage.listing import Wanted
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.shelf import Shelf


class ObjectCalls:
    """Blocking; what they give is the JSON answer."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._objects = shelf.objects
        self._copies = Copies(shelf.objects)

    def list(self, call: Call) -> dict[str, Any]:
        page = self._shelf.list(call.bucket, Wanted.of(call.query))
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.records:
            answer["items"] = [shown(record, call) for record in page.records]
        if page.token:
            answer["nextPageToken"] = page.token
        return answer

    def get(self, call: Call) -> dict[str, Any]:
        return shown(self._objects.find(call.bucket, call.object, call.generation, call.conditions), call)

    def patch(self, call: Call) -> dict[str, Any]:
        return self._changed(call, replace=False)

    def update(self, call: Call) -> dict[str, Any]:
        return self._changed(call, replace=True)

    def delete(self, call: Call) -> None:
        self._objects.delete(call.bucket, call.object, call.generation, call.conditions)

    def copy(self, call: Call) -> dict[str, Any]:
        return shown(self._copies.copy(_source(call), _target(call), call.body), call)

    def rewrite(self, call: Call) -> dict[str, Any]:
        at_most = number(call.query, "maxBytesRewrittenPerCall")
        token = call.query.get("rewriteToken", "")
        done = self._copies.rewrite(_source(call), _target(call), call.body, token, at_most)
        answer: dict[str, Any] = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(done.done),
            "objectSize": str(done.size),
            "done": done.record is not None,
        }
        if done.record is None:
            return {**answer, "rewriteToken": done.token}
        return {**answer, "resource": shown(done.record, call)}

    def compose(self, call: Call) -> dict[str, Any]:
        sources = [source_of(call.bucket, given) for given in call.body.get("sourceObjects", ())]
        target = Target(call.bucket, call.object, call.conditions)
        given, delete = call.body.get("destination") or {}, bool(call.body.get("deleteSourceObjects"))
        return shown(self._copies.compose(sources, target, given, delete=delete), call)

    def move(self, call: Call) -> dict[str, Any]:
        source = Source(call.bucket, call.object, None, Conditions.of(call.query, "ifSource"))
        return shown(self._copies.move(source, call.path["target"], call.conditions), call)

    def _changed(self, call: Call, *, replace: bool) -> dict[str, Any]:
        record = self._objects.change(
            call.bucket, call.object, call.body, call.generation, call.conditions, replace=replace
        )
        return shown(record, call)


def shown(record: Record, call: Call) -> dict[str, Any]:
    """The resource; its access control list in full only."""
    resource = record.shown(call.base)
    if not call.full:
        resource.pop("acl", None)
    return resource


def _source(call: Call) -> Source:
    generation = number(call.query, "sourceGeneration")
    return Source(call.bucket, call.object, generation, Conditions.of(call.query, "ifSource"))


def _target(call: Call) -> Target:
    return Target(call.path["target_bucket"], call.path["target"], call.conditions)
