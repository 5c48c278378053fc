"""Buckets: made, found, changed, deleted."""

from collections.abc import Mapping
from typing import Any

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage import bucket as rules
from gcp_emulator.storage.catalogue import Catalogue
from gcp_emulator.storage.conditions import NONE, Conditions
from gcp_emulator.storage.files import Files
from gcp_emulator.storage.mounts import Mounts
from gcp_emulator.storage.names import is_bucket
from gcp_emulator.storage.record import moment
from gcp_emulator.storage.refusals import invalid, no_bucket


class Buckets:
    """All buckets of one emulator, in one name space over all projects. Blocking, for any thread."""

    def __init__(self, catalogue: Catalogue, files: Files, mounts: Mounts, project_number: str) -> None:
        self._catalogue = catalogue
        self._files = files
        self._mounts = mounts
        self._project_number = project_number

    def insert(self, project: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if not project:
            raise Refusal(400, "required", "Required parameter: project", "project")
        number = self._catalogue.next_number()
        made = rules.created(given, number, self._project_number)
        with self._catalogue.change():
            owner = self._catalogue.project(made["name"])
            if owner:
                raise _taken(mine=owner == project)
            self._files.make(made["name"])
            self._catalogue.put_bucket(project, made)
        return made

    def find(self, name: str, conditions: Conditions = NONE) -> dict[str, Any]:
        """Refusal 404 without such a bucket, NotModified by the conditions."""
        found = self._catalogue.bucket(name)
        if found is None:
            raise no_bucket() if is_bucket(name) else invalid(f"Invalid bucket name: '{name}'")
        conditions.check_bucket(int(found["metageneration"]), read=True)
        return found

    def list(self, project: str) -> list[dict[str, Any]]:
        return self._catalogue.buckets(project)

    def change(
        self, name: str, given: Mapping[str, Any], conditions: Conditions, *, replace: bool = False
    ) -> dict[str, Any]:
        with self._catalogue.change():
            found = self.find(name)
            conditions.check_bucket(int(found["metageneration"]), read=False)
            now = moment(self._catalogue.next_number())
            made = rules.changed(found, given, now, replace=replace)
            self._catalogue.put_bucket(self._catalogue.project(name), made)
        return made

    def delete(self, name: str, conditions: Conditions) -> None:
        """Refusal 409 while there are objects, noncurrent ones and those of mounts too."""
        self.find(name)
        self._mounts.survey(name)
        with self._catalogue.change():
            found = self.find(name)
            conditions.check_bucket(int(found["metageneration"]), read=False)
            if self._catalogue.has_objects(name) or next(self._files.names(name, ""), None):
                raise Refusal(409, "conflict", "The bucket you tried to delete is not empty.")
            self._files.drop(name)
            self._catalogue.drop_bucket(name)


def _taken(*, mine: bool) -> Refusal:
    if mine:
        return Refusal(
            409,
            "conflict",
            "Your previous request to create the named bucket succeeded and you already own it.",
        )
    return Refusal(
        409,
        "conflict",
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    )
