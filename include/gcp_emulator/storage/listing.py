"""Pages of objects: prefix, delimiter, offsets, glob, versions."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.conditions import number
from gcp_emulator.storage.globs import literal, pattern
from gcp_emulator.storage.names import beyond
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import invalid

MOST = 1000
GROUPED = 50  # rows read at once where most of them may be of one folder, and passed over
LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is to hold; `start` is inclusive, `end` exclusive."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: str = ""
    versions: bool = False
    trailing: bool = False
    limit: int = MOST
    token: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        glob, delimiter = query.get("matchGlob", ""), query.get("delimiter", "")
        if glob and delimiter not in ("", "/"):
            raise invalid("Invalid argument: only / may be the delimiter together with matchGlob.")
        limit = number(query, "maxResults")
        return cls(
            prefix=query.get("prefix", ""),
            delimiter=delimiter,
            start=query.get("startOffset", ""),
            end=query.get("endOffset", ""),
            glob=glob,
            versions=query.get("versions", "").lower() == "true",
            trailing=query.get("includeTrailingDelimiter", "").lower() == "true",
            limit=MOST if limit is None else min(max(limit, 1), MOST),
            token=query.get("pageToken", ""),
        )


@dataclass(slots=True)
class Page:
    """A part of a list; `token` leads to the next one."""

    records: list[Record] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str = ""


def page(catalogue: Catalogue, bucket: str, wanted: Wanted) -> Page:
    """The next page, at most `limit` objects and prefixes together."""
    fits = pattern(wanted.glob) if wanted.glob else None
    prefix = max(wanted.prefix, literal(wanted.glob)) if not wanted.delimiter else wanted.prefix
    ends = [end for end in (beyond(prefix), wanted.end or None) if end]
    end = min(ends, key=str.encode) if ends else None
    after = _cursor(wanted.token) if wanted.token else (max(prefix, wanted.start, key=str.encode), -1)
    found = Page()
    at_once = GROUPED if wanted.delimiter else MOST
    while len(found.records) + len(found.prefixes) <= wanted.limit:
        rows = catalogue.records(bucket, after, end, at_once, versions=wanted.versions)
        for record in rows:
            group = _group(record.name, wanted)
            fitting = record.name.startswith(wanted.prefix) and (
                fits is None or bool(fits.fullmatch(record.name) or fits.fullmatch(group or ""))
            )
            if fitting and len(found.records) + len(found.prefixes) >= wanted.limit:
                found.token = _token(after)
                return found
            after = (record.name, record.generation)
            if fitting and (group is None or (wanted.trailing and group == record.name)):
                found.records.append(record)
            if group is not None and fitting:
                found.prefixes.append(group)
                following = beyond(group)
                after = (following, -1) if following else (record.name, LAST)
                break
        else:
            if len(rows) < at_once:
                break
    return found


def _group(name: str, wanted: Wanted) -> str | None:
    """The prefix that stands for this name in the list, None when the name itself does."""
    if not wanted.delimiter:
        return None
    at = name.find(wanted.delimiter, len(wanted.prefix))
    return None if at < 0 else name[: at + len(wanted.delimiter)]


def _token(after: tuple[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode()


def _cursor(token: str) -> tuple[str, int]:
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
        return str(name), int(generation)
    except (ValueError, TypeError, binascii.Error) as error:
        raise invalid("Invalid argument: pageToken.") from error
