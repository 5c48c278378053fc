"""https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets, and the lists of what there is none of."""

import re
from collections.abc import Mapping
from typing import Any

from gcp_emulator.bigquery import errors, rights
from gcp_emulator.bigquery.catalog import Catalog, Records, Resource
from gcp_emulator.bigquery.methods.call import Call
from gcp_emulator.bigquery.service import BigQuery
from gcp_emulator.bigquery.types import quoted
from gcp_emulator.json_api import Refusal

ID = re.compile(r"\w{1,1024}")
PAGE = 1000
SHORT = ("kind", "id", "datasetReference", "labels", "friendlyName", "location", "type")
LABEL = re.compile(r"^(\w+)(?:\.([^:\s]+))?(?::(\S*))?$")


def list_(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        found = [
            each for each in catalog.datasets(call.project) if _labelled(each, call.query.get("filter", ""))
        ]
    if not call.flag("all"):
        found = [each for each in found if not each["datasetReference"]["datasetId"].startswith("_")]
    page, more = call.page(found, PAGE)
    short = [{key: each[key] for key in SHORT if key in each} for each in page]
    return {"kind": "bigquery#datasetList", "etag": "", **({"datasets": short} if short else {}), **more}


def _labelled(dataset: Resource, wanted: str) -> bool:
    """`labels.name:value` conditions, all of which must hold."""
    labels = dataset.get("labels", {})
    for word in wanted.split():
        found = LABEL.match(word)
        if found is None or found[1] != "labels" or not found[2]:
            raise errors.invalid(f"Invalid filter: {wanted}", "filter")
        if found[2] not in labels or (found[3] and labels[found[2]] != found[3]):
            return False
    return True


def insert(service: BigQuery, call: Call) -> Resource:
    given = call.body.get("datasetReference") or {}
    id_, project = given.get("datasetId", ""), given.get("projectId") or call.project
    if not ID.fullmatch(id_):
        raise errors.invalid(
            f'Invalid dataset ID "{id_}". Dataset IDs must be alphanumeric (plus underscores) and must be at most '
            "1024 characters long."
        )
    with service.database.transaction(project) as cursor:
        catalog = Catalog(service.database, cursor)
        if catalog.dataset(project, id_):
            raise errors.duplicate("Dataset", f"{project}:{id_}")
        cursor.execute(f"CREATE SCHEMA {quoted(project, id_)}")
        Records(cursor).put_dataset(project, id_, call.body)
        return shown(catalog.need_dataset(project, id_), call.caller)


def get(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        found = catalog.need_dataset(call.project, call.dataset)
    rights.need(call.caller, "bigquery.datasets.get", found)
    return shown(found, call.caller)


def shown(dataset: Resource, caller: str) -> Resource:
    """With the access entries that a dataset has which was made without any."""
    if "access" in dataset:
        return dataset
    access = [
        {"role": "WRITER", "specialGroup": "projectWriters"},
        {"role": "OWNER", "specialGroup": "projectOwners"},
        {"role": "READER", "specialGroup": "projectReaders"},
    ]
    return {**dataset, "access": access}


def patch(service: BigQuery, call: Call) -> Resource:
    return _change(service, call, whole=False)


def update(service: BigQuery, call: Call) -> Resource:
    return _change(service, call, whole=True)


KEPT = ("location", "creationTime", "type")


def _change(service: BigQuery, call: Call, *, whole: bool) -> Resource:
    with service.database.transaction(call.project) as cursor:
        catalog = Catalog(service.database, cursor)
        known = catalog.need_dataset(call.project, call.dataset)
        rights.need(call.caller, "bigquery.datasets.update", known)
        call.need_match(known["etag"])
        base = {key: known[key] for key in KEPT if key in known} if whole else known
        changed = {**base, **overlaid(known, call.body)}
        if changed.get("access") == shown({}, call.caller)["access"]:
            changed["access"] = None  # what it had been shown as
        Records(cursor).put_dataset(call.project, call.dataset, {**changed, "location": known["location"]})
        return shown(catalog.need_dataset(call.project, call.dataset), call.caller)


def overlaid(known: Mapping[str, Any], body: Mapping[str, Any]) -> Resource:
    """A patch: labels one by one, a None among them goes, everything else whole."""
    made = dict(body)
    if isinstance(body.get("labels"), dict):
        labels = {**known.get("labels", {}), **body["labels"]}
        made["labels"] = {key: value for key, value in labels.items() if value is not None}
    return made


def delete(service: BigQuery, call: Call) -> None:
    with service.database.transaction(call.project) as cursor:
        catalog = Catalog(service.database, cursor)
        known = catalog.need_dataset(call.project, call.dataset)
        rights.need(call.caller, "bigquery.datasets.delete", known)
        if catalog.tables(call.project, call.dataset) and not call.flag("deleteContents"):
            raise Refusal(400, "resourceInUse", f"Dataset {call.project}:{call.dataset} is still in use")
        cursor.execute(f"DROP SCHEMA {quoted(call.project, call.dataset)} CASCADE")
        Records(cursor).drop_dataset(call.project, call.dataset)


def projects(service: BigQuery, call: Call) -> Resource:
    found = [
        {
            "kind": "bigquery#project",
            "id": project,
            "numericId": "123456789012",
            "projectReference": {"projectId": project},
            "friendlyName": project,
        }
        for project in service.database.projects()
    ]
    return {"kind": "bigquery#projectList", "projects": found, "totalItems": len(found)}


def service_account(service: BigQuery, call: Call) -> Resource:
    return {
        "kind": "bigquery#getServiceAccountResponse",
        "email": f"bq@{call.project}.iam.gserviceaccount.com",
    }


def routines(service: BigQuery, call: Call) -> Resource:
    """There are none; a 404 here would make dbt think that the dataset is empty."""
    _need(service, call)
    return {"routines": []}


def models(service: BigQuery, call: Call) -> Resource:
    _need(service, call)
    return {"models": []}


def row_access_policies(service: BigQuery, call: Call) -> Resource:
    _need(service, call)
    return {"rowAccessPolicies": []}


def policy(service: BigQuery, call: Call) -> Resource:
    """A table's own policy; rights are the dataset's here."""
    _need(service, call)
    return {"version": 1, "etag": "ACAB", "bindings": []}


def permissions(service: BigQuery, call: Call) -> Resource:
    with service.catalog() as catalog:
        found = catalog.need_dataset(call.project, call.dataset)
    has = rights.level(call.caller, found)
    asked = call.body.get("permissions") or []
    return {"permissions": [name for name in asked if name in rights.NEEDED and has >= rights.NEEDED[name]]}


def _need(service: BigQuery, call: Call) -> None:
    with service.catalog() as catalog:
        catalog.need_dataset(call.project, call.dataset)
