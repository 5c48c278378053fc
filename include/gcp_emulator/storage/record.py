"""One version of an object, as it is kept and as the JSON API shows it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """A version of an object. `place` is where its bytes lie (see files.py), `stamp` how that file looked when it
    was recorded; `fields` is the JSON resource without what follows from the rest. `size` is in bytes.
    """

    bucket: str
    name: str
    generation: int
    live: bool
    place: str
    size: int
    stamp: str
    fields: Mapping[str, Any]

    @property
    def metageneration(self) -> int:
        return int(self.fields["metageneration"])

    @property
    def etag(self) -> str:
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    def shown(self, base: str) -> dict[str, Any]:
        """https://cloud.google.com/storage/docs/json_api/v1/objects; `base` is the URL that clients use."""
        path = f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{base}/{path}",
            "mediaLink": f"{base}/download/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "size": str(self.size),
            "etag": self.etag,
            **self.fields,
        }


def moment(microseconds: int) -> str:
    """RFC 3339, with milliseconds as Storage gives them."""
    text = datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
