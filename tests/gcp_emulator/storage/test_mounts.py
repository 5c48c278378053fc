"""A bucket's folder, as jobs mount it, and the API: the same objects, each seen through the other."""

import os

import pytest

from gcp_emulator.json_api import Refusal


def test_an_object_is_a_file_of_its_name_in_the_mount(world):
    world.put("in/2026/breeds.json", b"{}")
    assert (world.mount / "in" / "2026" / "breeds.json").read_bytes() == b"{}"


def test_what_a_job_writes_changes_and_removes_are_generations_and_events(world):
    """An upload by a mount starts event-driven work just as one by the API does."""
    world.listen()
    (world.mount / "out").mkdir()
    (world.mount / "out" / "a.json").write_text("1")
    assert world.names() == ["out/a.json"]
    first = world.shelf.objects.find("bucket", "out/a.json")
    assert (first.size, first.fields["contentType"], first.fields["md5Hash"]) == (
        1,
        "application/json",
        "xMpCOKC5I4INzFCab3WEmw==",
    )
    with (world.mount / "out" / "a.json").open("a") as file:
        file.write("2")
    assert world.get("out/a.json") == b"12"
    second = world.shelf.objects.find("bucket", "out/a.json")
    assert second.generation > first.generation
    (world.mount / "out" / "a.json").rename(world.mount / "b.json")
    assert world.names() == ["b.json"]
    (world.mount / "b.json").unlink()
    assert world.names() == []
    a, b = "out/a.json", "b.json"
    assert sorted(world.events) == sorted(
        [("FINALIZE", a), ("DELETE", a), ("FINALIZE", a), ("DELETE", a), ("FINALIZE", b), ("DELETE", b)]
    )
    assert world.told[2][2]["overwroteGeneration"] == str(first.generation)


def test_a_file_that_is_still_open_for_writing_is_no_object_yet(world):
    """Else a job would be started by the first half of a file."""
    world.listen()
    with (world.mount / "half").open("w") as file:
        file.write("first half")
        file.flush()
        assert world.names() == []
        with pytest.raises(Refusal, match="No such object"):  # a sensor goes on waiting
            world.get("half")
        file.write(", second half")
    assert world.get("half") == b"first half, second half"
    assert world.events == [("FINALIZE", "half")]
    with (world.mount / "half").open("w"), pytest.raises(Refusal, match="being written") as refused:
        world.get("half")
    assert (refused.value.status, world.get("half")) == (503, b"")


def test_nothing_is_told_twice_of_a_file_that_does_not_change(world):
    world.listen()
    (world.mount / "once").write_text("x")
    for _ in range(3):
        world.names()
        world.get("once")
    world.restart()
    world.names()
    assert world.events == [("FINALIZE", "once")]


def test_links_lead_nowhere(world, tmp_path):
    """A job must not be able to publish the laptop's own files, nor the API to write them."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("s3cret")
    (world.mount / "file").symlink_to(secret / "key")
    (world.mount / "folder").symlink_to(secret)
    assert world.names() == []
    for name in ("file", "folder/key"):
        with pytest.raises(Refusal, match="No such object"):
            world.get(name)
    world.put("folder/key", b"other")
    assert world.get("folder/key") == b"other"
    assert (secret / "key").read_text() == "s3cret"


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a/b"],
        ["a/b", "a"],
        ["a/", "a/b", "a"],
        ["//x", "x//y", "./z", "a/../b"],
        ["d/" + "n" * 300, "é" * 500],
    ],
)
def test_names_that_no_file_system_holds_are_objects_too(world, names):
    for name in names:
        world.put(name, name.encode())
    assert world.names() == sorted(names, key=str.encode)
    assert [world.get(name) for name in names] == [name.encode() for name in names]
    world.restart()
    for name in names:
        assert world.get(name) == name.encode()
        world.shelf.objects.delete("bucket", name, None, world.no_conditions)
    assert world.names() == []
    assert list((world.folder / "aside").iterdir()) == []


def test_an_object_that_stands_for_a_folder_is_a_folder_in_the_mount(world):
    world.put("out/today/", b"")
    (world.mount / "out" / "today" / "a").write_text("x")
    assert world.names() == ["out/today/", "out/today/a"]


def test_an_object_takes_the_place_of_a_folder_that_is_empty(world):
    (world.mount / "a" / "b").mkdir(parents=True)
    world.put("a", b"x")
    assert (world.mount / "a").read_bytes() == b"x"


def test_a_file_whose_name_is_no_text_is_left_out(world):
    (world.mount / os.fsdecode(b"caf\xe9")).write_text("x")
    assert world.names() == []


def test_what_a_killed_emulator_left_aside_is_removed_and_uploads_under_way_are_not(world):
    world.put("a", b"1")
    world.put("a/b", b"2")
    (world.folder / "aside" / "left").write_text("x")
    world.restart()
    assert [world.get("a"), world.get("a/b")] == [b"1", b"2"]
    assert len(list((world.folder / "aside").iterdir())) == 1


def test_a_reader_keeps_the_bytes_it_began_with(world):
    """An object that is overwritten while it is read gives the old bytes or the new, never some of each."""
    world.put("a", b"old" * 1000)
    _, file = world.shelf.objects.read("bucket", "a")
    with file, world.shelf.held("bucket", "a") as held:
        first = file.read(10)
        world.put("a", b"new")
        assert first + file.read() == held.read_bytes() == b"old" * 1000
    assert world.get("a") == b"new"
    assert list((world.folder / "aside").iterdir()) == []


def test_a_bucket_is_empty_only_without_files_in_its_folder(world):
    with (world.mount / "half").open("w") as file:
        file.write("x")
        file.flush()
        with pytest.raises(Refusal, match="not empty"):
            world.shelf.buckets.delete("bucket", world.no_conditions)
    with pytest.raises(Refusal, match="not empty"):
        world.shelf.buckets.delete("bucket", world.no_conditions)
    (world.mount / "half").unlink()
    (world.mount / "empty" / "folders").mkdir(parents=True)
    world.shelf.buckets.delete("bucket", world.no_conditions)
    assert not world.mount.exists()


def test_files_are_matched_loaded_and_written_by_other_services(world, tmp_path):
    """BigQuery's loads and extracts work on the same objects."""
    for name in ("in/a.csv", "in/b.csv", "in/c.json", "other/a.csv"):
        world.put(name, name.encode())
    assert world.names("gs://bucket/in/*.csv") == ["in/a.csv", "in/b.csv"]
    assert world.names("gs://bucket/*a.csv") == ["in/a.csv", "other/a.csv"]
    assert world.names("gs://bucket/in/a.csv") == ["in/a.csv"]
    assert world.names("gs://bucket/nothing*") == []
    assert world.shelf.open("bucket", "in/a.csv").read_bytes() == b"in/a.csv"
    (tmp_path / "rows.csv").write_text("1\n")
    made = world.shelf.write("bucket", "out/rows.csv", tmp_path / "rows.csv", "text/csv")
    assert (made.fields["contentType"], world.get("out/rows.csv")) == ("text/csv", b"1\n")
    with pytest.raises(Refusal, match="does not exist"):
        world.shelf.match("gs://no-such-bucket/*")
    with pytest.raises(Refusal, match="Invalid Cloud Storage URI"):
        world.shelf.match("s3://bucket/a")
