"""Files that jobs write, change and remove through a mount become versions of objects, as soon as somebody looks.

Somebody looks when a task that had the mount ends, and at each listing and reading. A file that is open for writing is
no object yet: Cloud Storage FUSE uploads when a file is closed.
"""

import logging
import mimetypes

from gcp_emulator.storage.files import CHUNK, Digest, being_written, look, open_file, stamp
from gcp_emulator.storage.names import beyond, is_bucket
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import being_written as written_now
from gcp_emulator.storage.versions import OCTETS, Versions

log = logging.getLogger(__name__)


class Mounts:
    """Brings the catalogue up to date with the buckets' folders. Blocking."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._catalogue = versions.catalogue
        self._files = versions.files

    def look(self, bucket: str, name: str) -> None:
        """At one name. Refusal 503 while a job writes an object anew: its old bytes are gone already.

        What a job writes for the first time is not there yet.
        """
        path, known = self._files.seen(bucket, name), self._catalogue.live(bucket, name)
        if path is None or (known is not None and known.place):
            return
        found = look(path)
        if found is None:
            if known is not None:
                self._gone(known)
        elif known is None:
            self._adopt(bucket, name)
        elif known.stamp != stamp(found) and not self._adopt(bucket, name):
            raise written_now(f"{bucket}/{name}")

    def survey(self, bucket: str, prefix: str = "") -> None:
        """At all names with a prefix; what is being written waits for the next time."""
        known = self._catalogue.stamps(bucket, prefix, beyond(prefix))
        for name, found in self._files.names(bucket, prefix):
            kept, _, place = known.pop(name, ("", 0, ""))
            if kept != stamp(found) and not place:
                self._adopt(bucket, name)
        for name, (_, _, place) in known.items():
            record = None if place else self._catalogue.live(bucket, name)
            if record is not None:
                self._gone(record)

    def _adopt(self, bucket: str, name: str) -> bool:
        """False while the file is being written; one that has gone, or that we may not read, is passed over."""
        path = self._files.seen(bucket, name)
        if path is None or not is_bucket(bucket):
            return True
        digest = Digest()
        try:
            with open_file(path) as file:
                if being_written(file):
                    return False
                before = look(path)
                while data := file.read(CHUNK):
                    digest.count(data)
            return before is None or self._enter(bucket, name, digest, stamp(before))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("%s/%s cannot be read: %s", bucket, name, error)
            return True

    def _enter(self, bucket: str, name: str, digest: Digest, before: str) -> bool:
        with self._catalogue.change():
            found = look(self._files.path(bucket, name, ""))
            if found is None or self._catalogue.bucket(bucket) is None:
                return True
            if stamp(found) != before:
                return False
            current = self._catalogue.live(bucket, name)
            if current is None or (current.stamp != before and not current.place):
                guess = mimetypes.guess_type(name)[0] or OCTETS  # as Cloud Storage FUSE does
                self._versions.adopt(bucket, name, found, digest, {"contentType": guess}, current)
        return True

    def _gone(self, record: Record) -> None:
        with self._catalogue.change():
            now = self._catalogue.live(record.bucket, record.name)
            path = self._files.path(record.bucket, record.name, "")
            if now == record and look(path) is None:
                self._versions.forget(record)
