"""Access control lists and IAM policies of buckets: kept and shown. Nobody is refused by them: see README."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.call import Call
from gcp_emulator.storage.conditions import NONE
from gcp_emulator.storage.refusals import invalid, required
from gcp_emulator.storage.shelf import Shelf

FIELDS = {"acl": "acl", "defaultObjectAcl": "defaultObjectAcl"}
ROLES = {
    "acl": ("OWNER", "READER", "WRITER"),
    "defaultObjectAcl": ("OWNER", "READER"),
    "object": ("OWNER", "READER"),
}
KINDS = {
    "acl": "bucketAccessControl",
    "defaultObjectAcl": "objectAccessControl",
    "object": "objectAccessControl",
}


class Lists:
    """One of a bucket's lists (`acl`, `defaultObjectAcl`), or an object's (`object`)."""

    def __init__(self, shelf: Shelf, which: str) -> None:
        self._shelf = shelf
        self._which = which

    def all(self, call: Call) -> dict[str, Any]:
        return {"kind": f"storage#{KINDS[self._which]}s", "items": self._entries(call)}

    def get(self, call: Call) -> dict[str, Any]:
        for entry in self._entries(call):
            if entry["entity"] == call.path["entity"]:
                return entry
        raise Refusal(404, "notFound", "The specified ACL entry does not exist.")

    def put(self, call: Call) -> dict[str, Any]:
        """Insert, patch and update are one: an entity has one entry."""
        entity = call.path.get("entity") or call.body.get("entity")
        if not entity:
            raise required("entity")
        role = call.body.get("role")
        if role not in ROLES[self._which]:
            raise invalid(f"Invalid value for role: {role}")
        entry = {"kind": f"storage#{KINDS[self._which]}", "entity": entity, "role": role}
        self._keep(call, [*(kept for kept in self._entries(call) if kept["entity"] != entity), entry])
        return entry

    def delete(self, call: Call) -> None:
        self.get(call)
        self._keep(call, [kept for kept in self._entries(call) if kept["entity"] != call.path["entity"]])

    def _entries(self, call: Call) -> list[dict[str, Any]]:
        about = self._shelf.buckets.find(call.bucket)
        if about["iamConfiguration"].get("uniformBucketLevelAccess", {}).get("enabled"):
            raise invalid("Cannot get legacy ACL when uniform bucket-level access is enabled.")
        if self._which == "object":
            kept = self._shelf.objects.find(call.bucket, call.object, call.generation).fields.get("acl")
        else:
            kept = about.get(FIELDS[self._which])
        owner = {"entity": f"project-owners-{about['projectNumber']}", "role": "OWNER"}
        return [{"kind": f"storage#{KINDS[self._which]}", **entry} for entry in (kept or [owner])]

    def _keep(self, call: Call, entries: list[dict[str, Any]]) -> None:
        if self._which == "object":
            self._shelf.objects.change(call.bucket, call.object, {"acl": entries}, call.generation, NONE)
        else:
            self._shelf.buckets.change(call.bucket, {FIELDS[self._which]: entries}, NONE)


class Policies:
    """A bucket's IAM policy."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def get(self, call: Call) -> dict[str, Any]:
        about = self._shelf.buckets.find(call.bucket)
        project = self._shelf.catalogue.project(call.bucket)
        owner = {"role": "roles/storage.legacyBucketOwner", "members": [f"projectOwner:{project}"]}
        kept = self._shelf.catalogue.note("iam", call.bucket, "policy") or {"version": 1, "bindings": [owner]}
        return _policy(about["name"], kept)

    def set(self, call: Call) -> dict[str, Any]:
        """Refusal 412 when the policy has changed since the caller read it."""
        with self._shelf.catalogue.change():
            held = self.get(call)["etag"]
            if call.body.get("etag", held) != held:
                raise Refusal(412, "conditionNotMet", "The policy has changed since it was read.", "etag")
            kept = {"version": call.body.get("version", 1), "bindings": call.body.get("bindings", [])}
            self._shelf.catalogue.put_note("iam", call.bucket, "policy", kept)
        return _policy(call.bucket, kept)

    def test(self, call: Call) -> dict[str, Any]:
        """Every permission that is asked for: the emulator refuses nobody."""
        self._shelf.buckets.find(call.bucket)
        asked = [value for name, value in call.items if name == "permissions"]
        return {"kind": "storage#testIamPermissionsResponse", "permissions": asked}


def _policy(bucket: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    number = zlib.crc32(json.dumps(kept, sort_keys=True).encode())
    etag = base64.b64encode(number.to_bytes(4, "big")).decode()
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}", **kept, "etag": etag}
