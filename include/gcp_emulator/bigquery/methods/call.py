"""One call of a method: what its path, query string and body say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gcp_emulator.bigquery import errors
from gcp_emulator.json_api import Refusal

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Call:
    """`path` has the names of the path's variables in Google's discovery file: projectId, datasetId..."""

    caller: str
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    if_match: str = ""

    @property
    def project(self) -> str:
        return self.path["projectId"]

    @property
    def dataset(self) -> str:
        return self.path["datasetId"]

    @property
    def table(self) -> str:
        return self.path["tableId"]

    def flag(self, name: str) -> bool:
        return str(self.query.get(name, "")).lower() == "true"

    def number(self, name: str, default: int) -> int:
        given = self.query.get(name)
        if given in (None, ""):
            return default
        try:
            return int(str(given))
        except ValueError:
            raise errors.invalid(f"Invalid value for {name}: {given}", name) from None

    def page(self, items: Sequence[Item], default: int) -> tuple[list[Item], dict[str, str]]:
        """The part that maxResults and pageToken ask for, and where the next one begins."""
        start = self.number("pageToken", 0)
        end = start + self.number("maxResults", default)
        more = {"nextPageToken": str(end)} if end < len(items) else {}
        return list(items[start:end]), more

    def need_match(self, etag: str) -> None:
        """Refusal 412 where the caller changes what it has not seen."""
        if self.if_match not in ("", "*", etag):
            raise Refusal(412, "conditionNotMet", "Precondition check failed.", "If-Match")
