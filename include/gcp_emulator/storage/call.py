"""One request to the JSON API, read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from gcp_emulator.storage.conditions import Conditions, number
from gcp_emulator.storage.refusals import invalid, unsupported


@dataclass(frozen=True, slots=True)
class Call:
    """`path` holds the names in the URL, `base` is the URL by which the client reaches us."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: dict[str, Any]
    base: str
    caller: str
    items: list[tuple[str, str]] = field(default_factory=list)

    @property
    def bucket(self) -> str:
        return self.path["bucket"]

    @property
    def object(self) -> str:
        return self.path["object"]

    @property
    def generation(self) -> int | None:
        return number(self.query, "generation")

    @property
    def conditions(self) -> Conditions:
        return Conditions.of(self.query)

    @property
    def full(self) -> bool:
        """Whether access control lists are to be shown."""
        return self.query.get("projection") == "full"


async def read(request: Request, caller: str, *, with_body: bool = True) -> Call:
    """Refusal when the body is no JSON object, or for what the emulator would have to do wrong."""
    if (
        "x-goog-encryption-algorithm" in request.headers
        or "x-goog-copy-source-encryption-algorithm" in request.headers
    ):
        raise unsupported("encryption keys of the customer's own")
    for name in ("kmsKeyName", "destinationKmsKeyName", "softDeleted"):
        if request.query_params.get(name, "false").lower() != "false":
            raise unsupported(name)
    text = await request.body() if with_body else b""
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise invalid("Parse Error: the request's body is no JSON.") from error
    if not isinstance(body, dict):
        raise invalid("Parse Error: the request's body is no JSON object.")
    return Call(
        path=request.path_params,
        query=request.query_params,
        headers=request.headers,
        body=body,
        base=base(request),
        caller=caller,
        items=request.query_params.multi_items(),
    )


def base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
