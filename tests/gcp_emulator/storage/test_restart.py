"""What outlives the emulator with its state folder."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.conditions import Conditions
from gcp_emulator.storage.uploads import Chunk, Uploads

CHUNK = 256 * 1024


async def bytes_of(data):
    yield data


def test_buckets_objects_and_notifications_are_there_after_a_restart(make_world):
    world = make_world(versioning={"enabled": True}, labels={"team": "a"})
    world.listen()
    first = world.put("a", b"1", metadata={"k": "v"})
    second = world.put("a", b"2")
    world.restart()
    assert world.shelf.buckets.find("bucket")["labels"] == {"team": "a"}
    assert world.shelf.objects.find("bucket", "a") == second
    assert world.get("a", first.generation) == b"1"
    assert world.put("a", b"3").generation > second.generation
    assert [event for event, _ in world.events][-2:] == ["ARCHIVE", "FINALIZE"]


def test_an_upload_goes_on_after_a_restart(world):
    """The client's retry of the next chunk must find what the bucket had before, and its conditions."""
    begun = Uploads(world.shelf.objects).begin(
        "bucket", "a", {"contentType": "x/y"}, Conditions(generation=0)
    )
    first = Chunk.of(f"bytes 0-{CHUNK - 1}/*", CHUNK)
    asyncio.run(Uploads(world.shelf.objects).receive(begun, first, bytes_of(b"1" * CHUNK), {}))
    begun.draft.close()
    world.restart()
    uploads = Uploads(world.shelf.objects)
    session = uploads.find("bucket", begun.id)
    assert asyncio.run(uploads.receive(session, Chunk.of("bytes */*", 0), bytes_of(b""), {})) == CHUNK
    last = Chunk.of(f"bytes {CHUNK}-{CHUNK}/{CHUNK + 1}", 1)
    record = asyncio.run(uploads.receive(session, last, bytes_of(b"2"), {}))
    assert world.get("a") == b"1" * CHUNK + b"2"
    world.restart()
    uploads = Uploads(world.shelf.objects)
    done = uploads.find("bucket", begun.id)
    assert asyncio.run(uploads.receive(done, Chunk.of("bytes */*", 0), bytes_of(b""), {})) == record


def test_an_upload_that_nobody_ends_is_forgotten_after_a_week(world):
    with time_machine.travel(datetime.now(UTC) - timedelta(days=8)):
        old = Uploads(world.shelf.objects).begin("bucket", "a", {}, Conditions())
    new = Uploads(world.shelf.objects).begin("bucket", "b", {}, Conditions())
    for session in (old, new):
        session.draft.close()
    world.restart()
    assert [path.name for path in (world.folder / "aside").iterdir()] == [new.file]
    with pytest.raises(Refusal, match="session not found"):
        Uploads(world.shelf.objects).find("bucket", old.id)
