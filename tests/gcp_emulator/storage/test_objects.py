"""Generations, conditions, versions, metadata and copies of objects, without any server between."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.conditions import NONE, Conditions, NotModified
from gcp_emulator.storage.copies import MIB, Copies, Source, Target, source_of


@pytest.fixture
def copies(world):
    return Copies(world.shelf.objects)


def conditions(world, found, **given):
    """`found`, `other` and `absent` stand for generations."""
    numbers = {"found": found.generation if found else 7, "other": 3, "absent": 0}
    return Conditions(**{name: numbers.get(value, value) for name, value in given.items()})


MATCHING = [
    ({"generation": "found"}, True),
    ({"generation": "other"}, False),
    ({"generation": "absent"}, False),
    ({"generation_not": "found"}, False),
    ({"generation_not": "other"}, True),
    ({"generation_not": "absent"}, True),
    ({"metageneration": 1}, True),
    ({"metageneration": 2}, False),
    ({"metageneration_not": 1}, False),
    ({"metageneration_not": 2}, True),
    ({"generation": "found", "metageneration": 2}, False),
]


@pytest.mark.parametrize(("given", "holds"), MATCHING)
def test_every_write_and_read_keeps_its_conditions(world, copies, given, holds):
    """Two writers that both think they are the first, or a cleaner with old knowledge, must not destroy data."""
    found = world.put("a", b"old")
    world.put("b", b"other")
    wanted = conditions(world, found, **given)
    objects = world.shelf.objects
    writes = [
        lambda: objects.check_write("bucket", "a", wanted),
        lambda: objects.change("bucket", "a", {}, None, wanted),
        lambda: copies.copy(Source("bucket", "b"), Target("bucket", "a", wanted), {}),
        lambda: copies.rewrite(Source("bucket", "b"), Target("bucket", "a", wanted), {}, "", None),
        lambda: copies.compose([Source("bucket", "b")], Target("bucket", "a", wanted), {}),
        lambda: copies.copy(Source("bucket", "a", None, wanted), Target("bucket", "c"), {}),
        lambda: copies.move(Source("bucket", "b"), "a", wanted),
        lambda: world.put_if("a", wanted),
        lambda: objects.delete("bucket", "a", None, wanted),
    ]
    for write in writes if not holds else ():
        with pytest.raises(Refusal) as refused:
            write()
        assert (refused.value.status, refused.value.reason) == (412, "conditionNotMet")
    if holds:
        objects.find("bucket", "a", None, wanted)
        world.put_if("a", wanted)
        assert world.get("a") == b"new"
    else:
        kind = NotModified if any(name.endswith("_not") for name in given) else Refusal
        with pytest.raises(kind):
            objects.find("bucket", "a", None, wanted)
        assert (world.get("a"), world.names()) == (b"old", ["a", "b"])


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({"generation": "absent"}, True),
        ({"generation": "found"}, False),
        ({"generation_not": "absent"}, False),
        ({"generation_not": "other"}, False),
        ({"metageneration": 1}, False),
        ({"metageneration_not": 1}, False),
    ],
)
def test_conditions_on_an_object_that_is_not_there(world, given, holds):
    wanted = conditions(world, None, **given)
    if holds:
        world.put_if("a", wanted)
    else:
        with pytest.raises(Refusal, match="pre-conditions"):
            world.put_if("a", wanted)
        assert world.names() == []


def test_versions_are_kept_read_and_deleted_one_by_one(make_world):
    world = make_world(versioning={"enabled": True})
    world.listen()
    first, second = world.put("a", b"1"), world.put("a", b"2")
    world.shelf.objects.delete("bucket", "a", None, NONE)
    assert world.names() == []
    assert [world.get("a", each.generation) for each in (first, second)] == [b"1", b"2"]
    with pytest.raises(Refusal, match="No such object: bucket/a"):
        world.get("a")
    copied = Copies(world.shelf.objects).copy(
        Source("bucket", "a", first.generation), Target("bucket", "a"), {}
    )
    assert world.get("a") == b"1"
    for each in (first, second, copied):
        world.shelf.objects.delete("bucket", "a", each.generation, NONE)
    with pytest.raises(Refusal, match=f"No such object: bucket/a#{first.generation}"):
        world.get("a", first.generation)
    kinds = [event for event, _ in world.events]
    assert kinds == ["FINALIZE", "ARCHIVE", "FINALIZE", "ARCHIVE", "FINALIZE", "DELETE", "DELETE", "DELETE"]
    assert world.told[1][2]["overwrittenByGeneration"] == str(second.generation)
    assert list((world.folder / "aside").iterdir()) == []


def test_a_held_object_is_neither_deleted_nor_overwritten(world):
    world.put("a", b"old", temporaryHold=True)
    for write in (lambda: world.put("a"), lambda: world.shelf.objects.delete("bucket", "a", None, NONE)):
        with pytest.raises(Refusal, match="is under active Temporary hold"):
            write()
    world.shelf.objects.change("bucket", "a", {"temporaryHold": False}, None, NONE)
    world.shelf.objects.delete("bucket", "a", None, NONE)


def test_metadata_is_merged_by_a_patch_and_replaced_by_an_update(world):
    world.listen()
    world.put("a", contentType="text/csv", metadata={"a": "1", "b": "2"}, cacheControl="no-store")
    change = world.shelf.objects.change
    patched = change("bucket", "a", {"metadata": {"b": None, "c": "3"}, "cacheControl": None}, None, NONE)
    assert patched.fields["metadata"] == {"a": "1", "c": "3"}
    assert "cacheControl" not in patched.fields
    assert (patched.fields["contentType"], patched.metageneration) == ("text/csv", 2)
    updated = change("bucket", "a", {"metadata": {"d": "4"}, "contentType": "x/y"}, None, NONE, replace=True)
    assert (updated.fields["metadata"], updated.fields["contentType"]) == ({"d": "4"}, "x/y")
    assert updated.metageneration == 3
    assert [event for event, _ in world.events] == ["FINALIZE", "METADATA_UPDATE", "METADATA_UPDATE"]


@pytest.mark.parametrize("field", ["md5Hash", "crc32c"])
def test_bytes_that_are_not_what_the_client_meant_are_refused(world, field):
    good = world.put("good", b"data").fields[field]
    world.put("again", b"data", **{field: good})
    with pytest.raises(Refusal, match=f'"{good[:8]}.*match calculated'.replace("+", r"\+")):
        world.put("bad", b"dat", **{field: good})
    assert world.names() == ["again", "good"]


def test_a_copy_has_the_sources_metadata_or_what_is_said_instead(world, copies):
    world.put("a", b"x", contentType="text/csv", metadata={"k": "v"})
    same = copies.copy(Source("bucket", "a"), Target("bucket", "b"), {}).fields
    assert (same["contentType"], same["metadata"]) == ("text/csv", {"k": "v"})
    other = copies.copy(Source("bucket", "a"), Target("bucket", "c"), {"contentType": "x/y"}).fields
    assert (other["contentType"], other.get("metadata")) == ("x/y", None)


def test_a_rewrite_between_locations_goes_on_by_its_token(world, copies):
    world.shelf.buckets.insert("project", {"name": "far-away", "location": "europe-west1"})
    world.put("big", bytes(2 * MIB + 1))
    where = Source("bucket", "big"), Target("far-away", "big")
    steps = [copies.rewrite(*where, {}, "", MIB)]
    while steps[-1].record is None:
        steps.append(copies.rewrite(*where, {}, steps[-1].token, MIB))
    assert [step.done for step in steps] == [MIB, 2 * MIB, 2 * MIB + 1]
    assert steps[-1].record.size == 2 * MIB + 1
    half = copies.rewrite(*where, {}, "", MIB)
    world.put("big", bytes(3 * MIB))
    with pytest.raises(Refusal, match="rewriteToken"):  # it was for another generation
        copies.rewrite(*where, {}, half.token, MIB)
    here = copies.rewrite(Source("bucket", "big"), Target("bucket", "big2"), {}, "", MIB)
    assert here.record.size == 3 * MIB


def test_objects_are_composed_of_the_generations_that_are_named(world, copies):
    first = world.put("a", b"1", contentType="text/plain")
    world.put("b", b"2")
    named = {"name": "a", "objectPreconditions": {"ifGenerationMatch": str(first.generation)}}
    sources = [source_of("bucket", named), source_of("bucket", {"name": "b"})]
    made = copies.compose(sources, Target("bucket", "c"), {})
    assert world.get("c") == b"12"
    assert (made.fields["componentCount"], made.fields["contentType"]) == (2, "text/plain")
    assert "md5Hash" not in made.fields
    assert (
        copies.compose([Source("bucket", "c")] * 2, Target("bucket", "c"), {}).fields["componentCount"] == 4
    )
    world.put("a", b"changed")
    with pytest.raises(Refusal, match="pre-conditions"):
        copies.compose(sources, Target("bucket", "c"), {})
    with pytest.raises(Refusal, match="exceeds the maximum"):
        copies.compose([Source("bucket", "b")] * 33, Target("bucket", "c"), {})
    assert world.get("c") == b"1212"


def test_a_move_leaves_the_object_under_one_name_only(world, copies):
    world.listen()
    world.put("a", b"x", metadata={"k": "v"})
    made = copies.move(Source("bucket", "a"), "b/c", NONE)
    assert (world.names(), world.get("b/c"), made.fields["metadata"]) == (["b/c"], b"x", {"k": "v"})
    assert world.events[1:] == [("FINALIZE", "b/c"), ("DELETE", "a")]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a\nb", "a\rb", "é" * 513, ".well-known/acme-challenge/x", "\ud800"]
)
def test_names_that_google_refuses(world, name):
    with pytest.raises(Refusal) as refused:
        world.put(name)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 64, "Upper", "-a-", "goog-x", "my-google", "g00gle-x", "1.2.3.4", "a..b", "a/b", "a b"],
)
def test_buckets_that_google_refuses(world, name):
    with pytest.raises(Refusal) as refused:
        world.shelf.buckets.insert("project", {"name": name})
    assert refused.value.status == 400


def test_of_many_writers_that_want_to_be_the_first_one_is(world):
    """A lock in a bucket is a write with `ifGenerationMatch=0`."""

    def write(_):
        with suppress(Refusal):
            return world.put_if("lock", Conditions(generation=0)).generation

    with ThreadPoolExecutor(8) as threads:
        made = [found for found in threads.map(write, range(40)) if found is not None]
    assert made == [world.shelf.objects.find("bucket", "lock").generation]


def test_many_writers_and_files_of_jobs_at_once_lose_nothing(world):
    world.listen()

    def work(number):
        if number % 2:
            (world.mount / f"f{number}").write_text(str(number))
        else:
            world.put(f"f{number}", str(number).encode())
        world.names()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(60)))
    assert sorted(world.names()) == sorted(f"f{number}" for number in range(60))
    assert sorted(world.events) == sorted(("FINALIZE", f"f{number}") for number in range(60))
    assert all(world.get(f"f{number}") == str(number).encode() for number in range(60))


def test_a_buckets_default_hold_is_every_new_objects(make_world):
    world = make_world(defaultEventBasedHold=True)
    world.put("a")
    with pytest.raises(Refusal, match="Event-Based hold"):
        world.shelf.objects.delete("bucket", "a", None, NONE)
