"""What the API can do, as clients that are built from such a description read it: the bq command-line tool.

https://developers.google.com/discovery/v1/reference/apis. Parameters and bodies are not described one by one: every
method takes them all, and the method itself looks at what it knows.
"""

import re
from collections.abc import Iterable
from typing import Any

VARIABLE = re.compile(r"\{(\w+)\}")
ANY = {"$ref": "Any"}
PARAMETERS = (
    "accessPolicyVersion", "all", "allUsers", "autodetectSchema", "datasetView", "deleteContents", "filter",
    "formatOptions.timestampOutputFormat", "formatOptions.useInt64Timestamp", "location", "maxCreationTime",
    "maxResults", "minCreationTime", "pageToken", "parentJobId", "projection", "readMask", "selectedFields",
    "startIndex", "timeoutMs", "updateMode", "view",
)  # fmt: skip


def document(base: str, paths: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """`base`: the address that the caller has reached this one by; `paths`: verb, path and name of each method."""
    resources: dict[str, Any] = {}
    for verb, path, name in paths:
        _, resource, method = name.split(".")
        resources.setdefault(resource, {"methods": {}})["methods"][method] = _method(verb, path, name)
    upload = "upload/bigquery/v2/projects/{+projectId}/jobs"
    resources["jobs"]["methods"]["insert"] |= {
        "supportsMediaUpload": True,
        "mediaUpload": {
            "accept": ["*/*"],
            "protocols": {
                "simple": {"multipart": True, "path": f"/{upload}"},
                "resumable": {"multipart": True, "path": f"/resumable/{upload}"},
            },
        },
    }
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "bigquery:v2",
        "name": "bigquery",
        "version": "v2",
        "title": "BigQuery API",
        "protocol": "rest",
        "rootUrl": base,
        "servicePath": "bigquery/v2/",
        "basePath": "/bigquery/v2/",
        "baseUrl": f"{base}bigquery/v2/",
        "batchPath": "batch/bigquery/v2",
        "parameters": {
            name: {"type": "string", "location": "query"} for name in ("alt", "fields", "prettyPrint")
        },
        "schemas": {"Any": {"id": "Any", "type": "object", "additionalProperties": {"type": "any"}}},
        "resources": resources,
    }


def _method(verb: str, path: str, name: str) -> dict[str, Any]:
    variables = VARIABLE.findall(path)
    parameters = {
        **{each: {"type": "string", "location": "query"} for each in PARAMETERS},
        **{each: {"type": "string", "location": "path", "required": True} for each in variables},
    }
    method = {
        "id": name,
        "path": VARIABLE.sub(r"{+\1}", path).lstrip("/"),
        "httpMethod": verb,
        "parameters": parameters,
        "parameterOrder": variables,
        "response": ANY,
    }
    return method if verb in ("GET", "DELETE") else {**method, "request": ANY}
