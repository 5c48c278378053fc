"""Google's own client at the worker's emulator, a bucket of the test's own, and buckets without any server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.storage.conditions import NONE, Conditions
from gcp_emulator.storage.shelf import Shelf


@pytest.fixture
def client(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    """STORAGE_EMULATOR_HOST is all that it is told."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.ready["env"]["STORAGE_EMULATOR_HOST"])
    made = storage.Client(project=cloud.project, credentials=AnonymousCredentials())
    yield made
    made.close()


@pytest.fixture
def bucket(client: storage.Client, cloud: Any) -> storage.Bucket:
    return client.create_bucket(cloud.project)


@dataclass
class World:
    """Buckets in a folder: `told` holds (event, object, attributes) of every notification."""

    folder: Path
    told: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.shelf = Shelf(self.folder, self.folder / "gcs", self.folder / "aside", "1", self._tell)

    def restart(self) -> None:
        self.shelf.close()
        self.start()

    def _tell(self, topic: str, messages: list[Outgoing]) -> None:
        for message in messages:
            found = dict(message.attributes)
            self.told.append((found["eventType"], found["objectId"], found))

    @property
    def mount(self) -> Path:
        """What a job sees of the bucket."""
        return self.folder / "gcs" / "bucket"

    no_conditions: Conditions = NONE

    def listen(self) -> None:
        config = {"id": "1", "topic": "//pubsub.googleapis.com/projects/p/topics/t", "payload_format": "NONE"}
        self.shelf.catalogue.put_note("notification", "bucket", "1", config)

    def put(self, name: str, data: bytes = b"data", **given: Any) -> Any:
        draft = self.shelf.objects.draft()
        try:
            draft.write(data)
            return self.shelf.objects.write("bucket", name, draft, given)
        finally:
            draft.discard()

    def put_if(self, name: str, conditions: Conditions) -> Any:
        draft = self.shelf.objects.draft()
        try:
            draft.write(b"new")
            return self.shelf.objects.write("bucket", name, draft, {}, conditions)
        finally:
            draft.discard()

    def get(self, name: str, generation: int | None = None) -> bytes:
        record, file = self.shelf.objects.read("bucket", name, generation)
        with file:
            data = file.read()
        assert len(data) == record.size
        return data

    def names(self, uri: str = "gs://bucket/*") -> list[str]:
        return [name for _, name in self.shelf.match(uri)]

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event.removeprefix("OBJECT_"), name) for event, name, _ in self.told]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[[], World]]:
    worlds: list[World] = []

    def make(**about: Any) -> World:
        world = World(tmp_path / str(len(worlds)))
        worlds.append(world)
        world.shelf.buckets.insert("project", {"name": "bucket", **about})
        return world

    yield make
    for world in worlds:
        world.shelf.close()


@pytest.fixture
def world(make_world: Callable[[], World]) -> World:
    return make_world()
