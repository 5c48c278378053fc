"""A bucket's resource: what a new one has, and what may be changed."""

import base64
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.names import check_bucket
from gcp_emulator.storage.record import moment
from gcp_emulator.storage.refusals import invalid, unsupported

CLASSES = (
    "STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY",
)  # fmt: skip
MULTI_REGIONS = ("US", "EU", "ASIA")
DUAL_REGIONS = ("NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1")
# What a client may set; the rest of a resource follows from it.
CHANGEABLE = (
    "labels", "lifecycle", "versioning", "cors", "website", "logging", "billing", "storageClass", "acl",
    "defaultObjectAcl", "iamConfiguration", "encryption", "defaultEventBasedHold", "rpo", "autoclass",
    "softDeletePolicy",
)  # fmt: skip
MERGED = ("labels", "iamConfiguration")
ACCESS: Mapping[str, Any] = {
    "bucketPolicyOnly": {"enabled": False},
    "uniformBucketLevelAccess": {"enabled": False},
    "publicAccessPrevention": "inherited",
}


def created(given: Mapping[str, Any], generation: int, project_number: str) -> dict[str, Any]:
    """The resource of a new bucket; Refusal when what is given is wrong or cannot be done here."""
    name = check_bucket(str(given.get("name", "")))
    location = str(given.get("location") or "US").upper()
    kind = (
        "multi-region"
        if location in MULTI_REGIONS
        else "dual-region"
        if location in DUAL_REGIONS
        else "region"
    )
    now = moment(generation)
    resource = {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": project_number,
        "generation": str(generation),
        "metageneration": "1",
        "location": location,
        "locationType": kind,
        "storageClass": "STANDARD",
        "timeCreated": now,
        "updated": now,
        "softDeletePolicy": {"retentionDurationSeconds": "0", "effectiveTime": now},
        "iamConfiguration": deepcopy(dict(ACCESS)),
    }
    _check(given)
    _merge(resource, {field: given[field] for field in CHANGEABLE if field in given})
    return resource


def changed(
    resource: Mapping[str, Any], given: Mapping[str, Any], now: str, *, replace: bool
) -> dict[str, Any]:
    """After a patch, or with `replace` an update, which forgets what it does not name."""
    _check(given)
    location = given.get("location")
    if location and str(location).upper() != resource["location"]:
        raise invalid("The location of an existing bucket cannot be changed.")
    changes = {field: given[field] for field in CHANGEABLE if field in given}
    made = deepcopy(dict(resource))
    if replace:
        kept = ("storageClass", "iamConfiguration", "softDeletePolicy", "acl", "defaultObjectAcl")
        for field in CHANGEABLE:
            if field not in kept:
                made.pop(field, None)
    _merge(made, changes)
    return {**made, "metageneration": str(int(resource["metageneration"]) + 1), "updated": now}


def shown(resource: Mapping[str, Any], base: str, *, full: bool) -> dict[str, Any]:
    """As clients see it; access control lists are shown in full only."""
    hidden = () if full else ("acl", "defaultObjectAcl")
    told = {field: value for field, value in resource.items() if field not in hidden}
    etag = base64.b64encode(f"{resource['generation']}/{resource['metageneration']}".encode()).decode()
    return {**told, "selfLink": f"{base}/storage/v1/b/{resource['name']}", "etag": etag}


def _check(given: Mapping[str, Any]) -> None:
    if given.get("retentionPolicy"):
        raise unsupported("a bucket's retention policy")
    if (given.get("hierarchicalNamespace") or {}).get("enabled"):
        raise unsupported("a hierarchical namespace")
    if given.get("storageClass") and given["storageClass"] not in CLASSES:
        raise Refusal(400, "invalid", f"The specified storage class '{given['storageClass']}' is not valid.")
    for rule in (given.get("lifecycle") or {}).get("rule", ()):
        if "action" not in rule or "condition" not in rule:
            raise invalid("A lifecycle rule needs an action and a condition.")


def _merge(resource: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """JSON merge patch (RFC 7396) where Google merges, replacement elsewhere; null removes."""
    for field, value in changes.items():
        if value is None:
            resource.pop(field, None)
        elif field in MERGED and isinstance(value, Mapping):
            merged = {**resource.get(field, {}), **value}
            resource[field] = {key: inner for key, inner in merged.items() if inner is not None}
        else:
            resource[field] = value
    if resource.get("labels") == {}:
        del resource["labels"]
