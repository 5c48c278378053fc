"""Cloud Storage as one object: what its routes and, within the process, other services call."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.storage.buckets import Buckets
from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.changes import Changes, Publish
from gcp_emulator.storage.conditions import NONE, Conditions
from gcp_emulator.storage.files import Files
from gcp_emulator.storage.listing import Page, Wanted, page
from gcp_emulator.storage.mounts import Mounts
from gcp_emulator.storage.names import is_bucket
from gcp_emulator.storage.objects import Objects
from gcp_emulator.storage.record import Record
from gcp_emulator.storage.refusals import invalid
from gcp_emulator.storage.versions import Versions

log = logging.getLogger(__name__)
URI = re.compile(r"gs://([^/]+)/(.*)", re.DOTALL)


def unheard(topic: str, messages: Sequence[Outgoing]) -> None:
    """No Pub/Sub."""


class Shelf:
    """Buckets and objects, for any thread; everything blocks, so an event loop calls it through `to_thread`.

    `state` is the folder that outlives the emulator (None: all is gone with it), `mounted` the folder of the buckets'
    folders, which jobs mount, `aside` a folder on the same file system. All refusals are json_api.Refusal.
    """

    def __init__(
        self, state: Path | None, mounted: Path, aside: Path, project_number: str, publish: Publish = unheard
    ) -> None:
        self.catalogue = Catalogue(state)
        self.files = Files(mounted, aside)
        self.changes = Changes(self.catalogue, publish)
        versions = Versions(self.catalogue, self.files, self.changes)
        self.mounts = Mounts(versions)
        self.buckets = Buckets(self.catalogue, self.files, self.mounts, project_number)
        self.objects = Objects(self.catalogue, self.files, self.mounts, versions)
        self.files.clear(self.catalogue.places())

    def close(self) -> None:
        self.catalogue.close()

    def open(self, bucket: str, name: str) -> Path:
        """Where the live version's bytes lie now: read them at once, or use `held`. Refusal 404."""
        record = self.objects.find(bucket, name)
        return self.files.path(bucket, name, record.place)

    @contextmanager
    def held(self, bucket: str, name: str, generation: int | None = None) -> Iterator[Path]:
        """A file with the bytes of one version, which no later write through the API changes."""
        self.objects.find(bucket, name, generation)
        with self.catalogue.change():
            record = self.objects.find(bucket, name, generation)
            path = self.files.link(self.files.path(bucket, name, record.place))
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def match(self, uri: str) -> list[tuple[str, str]]:
        """(bucket, name) of the objects that `gs://bucket/name` means, in order; `*` stands for any characters."""
        found = URI.fullmatch(uri)
        if found is None:
            raise invalid(f"Invalid Cloud Storage URI: {uri}")
        bucket, glob = found[1], found[2]
        fits = re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)
        return [
            (bucket, record.name)
            for record in self.walk(bucket, glob.partition("*")[0])
            if fits.fullmatch(record.name)
        ]

    def write(
        self, bucket: str, name: str, path: Path, content_type: str = "", conditions: Conditions = NONE
    ) -> Record:
        """Make an object of a file's bytes; the file stays. Refusal without such a bucket."""
        draft = self.objects.draft()
        try:
            with path.open("rb") as file:
                draft.add(file)
            return self.objects.write(bucket, name, draft, {"contentType": content_type}, conditions)
        finally:
            draft.discard()

    def list(self, bucket: str, wanted: Wanted) -> Page:
        """A page of objects; the first one looks at what jobs have written."""
        self.buckets.find(bucket)
        if not wanted.token:
            self.mounts.survey(bucket, wanted.prefix)
        return page(self.catalogue, bucket, wanted)

    def walk(self, bucket: str, prefix: str = "") -> Iterator[Record]:
        """All live objects with a prefix, by name."""
        token = ""
        while True:
            found = self.list(bucket, Wanted(prefix=prefix, token=token))
            yield from found.records
            token = found.token
            if not token:
                return

    def mount(self, bucket: str, project: str) -> None:
        """A job mounts a bucket: one that nobody has made is made for the job's project."""
        with self.catalogue.change():
            if is_bucket(bucket) and self.catalogue.bucket(bucket) is None:
                self.buckets.insert(project, {"name": bucket})

    def unmounted(self, path: Path, project: str) -> None:
        """A task that had a folder of a bucket mounted has ended: what it wrote becomes objects."""
        try:
            bucket, *folders = path.resolve().relative_to(self.files.mounted).parts
        except ValueError:
            return  # another kind of volume, or all buckets
        self.mount(bucket, project)
        if self.catalogue.bucket(bucket) is None:
            return
        try:
            self.mounts.survey(bucket, "".join(f"{folder}/" for folder in folders))
        except OSError as error:
            log.warning("What a job left in bucket %s is looked at later: %s", bucket, error)
