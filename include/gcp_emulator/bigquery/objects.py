"""Cloud Storage as BigQuery's jobs need it; the emulator's own buckets are one."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from gcp_emulator.bigquery import errors

URI = re.compile(r"gs://([^/]+)/(.+)", re.DOTALL)


def parted(uri: str) -> tuple[str, str]:
    """Bucket and name; Refusal for what is no `gs://` URI."""
    found = URI.fullmatch(uri)
    if found is None:
        raise errors.invalid(f"Source URI must be a Google Cloud Storage location: {uri}")
    return found[1], found[2]


class Objects(Protocol):
    """What `gs://` means. Refusals are json_api's."""

    def match(self, uri: str) -> list[tuple[str, str]]:
        """(bucket, name) of the objects that a URI with `*` in it means."""

    def held(self, bucket: str, name: str) -> AbstractContextManager[Path]:
        """A file with an object's bytes, for as long as the context lasts."""

    def write(self, bucket: str, name: str, path: Path) -> object:
        """Make an object of a file."""
