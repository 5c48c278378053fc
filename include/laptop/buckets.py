"""The emulator's buckets, over Cloud Storage's JSON API: made for jobs to write to, read to show what they wrote."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from laptop.environment import PROJECT, REGION, account

WITHIN_S = 10


def keep(url: str, bucket: str) -> None:
    """Makes the bucket at the emulator's REST address, unless it is there."""
    try:
        _ask(f"{url}/storage/v1/b?project={PROJECT}", "deployer", {"name": bucket, "location": REGION})
    except HTTPError as error:
        if error.code != 409:
            raise


def newest(url: str, bucket: str, prefix: str, ending: str) -> str | None:
    """Where to read the object that was written last among those of this prefix and ending; None without one."""
    query = urlencode({"prefix": prefix})
    found = json.loads(_ask(f"{url}/storage/v1/b/{bucket}/o?{query}", "viewer")).get("items", [])
    names = sorted((each["updated"], each["name"]) for each in found if each["name"].endswith(ending))
    return f"{url}/storage/v1/b/{bucket}/o/{quote(names[-1][1], safe='')}?alt=media" if names else None


def read(url: str) -> bytes:
    """An object's content, as the viewer."""
    return _ask(url, "viewer")


def _ask(url: str, identity: str, body: Mapping[str, Any] | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {account(identity)}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(url, data=data, headers=headers), timeout=WITHIN_S) as answer:
        return bytes(answer.read())
