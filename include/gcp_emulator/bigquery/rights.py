"""Who may do what with a dataset: https://cloud.google.com/bigquery/docs/access-control-basic-roles#dataset-basic-roles.

A dataset whose creator gave no access entries is open to all, as a project's is to its owner. With entries, a caller
with a name has what they give that name; a caller without one (no credentials at all) is taken for the owner of the
project.
"""

from collections.abc import Mapping
from typing import Any

from gcp_emulator import identity
from gcp_emulator.bigquery import errors

LEVELS = {"READER": 1, "WRITER": 2, "OWNER": 3}
ROLES = {
    "roles/bigquery.metadataViewer": 0,
    "roles/bigquery.dataViewer": 1,
    "roles/bigquery.dataEditor": 2,
    "roles/bigquery.dataOwner": 3,
    "roles/bigquery.admin": 3,
}
NEEDED = {
    "bigquery.datasets.get": 0,
    "bigquery.tables.list": 0,
    "bigquery.tables.get": 0,
    "bigquery.tables.getData": 1,
    "bigquery.tables.create": 2,
    "bigquery.tables.update": 2,
    "bigquery.tables.updateData": 2,
    "bigquery.tables.delete": 2,
    "bigquery.datasets.update": 3,
    "bigquery.datasets.delete": 3,
}
EVERYBODY = {"allAuthenticatedUsers", "allUsers"}


def need(caller: str, permission: str, dataset: Mapping[str, Any], table: str = "") -> None:
    """Refusal accessDenied unless the caller has it on this dataset resource."""
    if level(caller, dataset) >= NEEDED[permission]:
        return
    name = dataset["id"]
    if table:
        raise errors.access_denied("Table", f"{name}.{table}", permission)
    raise errors.access_denied("Dataset", name, permission)


def level(caller: str, dataset: Mapping[str, Any]) -> int:
    """The highest role of a caller; -1 for none."""
    entries = dataset.get("access")
    if entries is None or caller == identity.ANONYMOUS:
        return LEVELS["OWNER"]
    roles = (str(entry.get("role", "READER")) for entry in entries if _names(entry, caller))
    return max((LEVELS.get(role, ROLES.get(role, -1)) for role in roles), default=-1)


def _names(entry: Mapping[str, Any], caller: str) -> bool:
    member = str(entry.get("iamMember", "")).rpartition(":")[2]
    if caller.lower() in (str(entry.get("userByEmail", "")).lower(), member.lower()):
        return True
    if entry.get("domain"):
        return caller.lower().endswith("@" + str(entry["domain"]).lower())
    return entry.get("specialGroup") in EVERYBODY or member in EVERYBODY
