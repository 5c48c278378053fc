"""Pages of objects, against a plain model; and the globs that Google documents."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.globs import pattern
from gcp_emulator.storage.listing import Wanted
from gcp_emulator.storage.names import beyond

NAMES = (
    "a",
    "a/",
    "a/1",
    "a/2",
    "a/b/1",
    "a/b/2",
    "a/b/c/1",
    "b",
    "ba",
    "c/d",
    "é/1",
    "\ud7ff",
    "\ue000",
    "\U0010ffff/x",
)


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A function from what is wanted to all pages' (names, prefixes)."""
    from gcp_emulator.storage.shelf import Shelf

    folder = tmp_path_factory.mktemp("listing")
    shelf = Shelf(None, folder / "gcs", folder / "aside", "1")
    shelf.buckets.insert("project", {"name": "bucket"})
    (folder / "x").write_bytes(b"")
    for name in NAMES:
        shelf.write("bucket", name, folder / "x")

    def listed(**wanted):
        names, prefixes, token, sizes = [], [], "", []
        while True:
            page = shelf.list("bucket", Wanted(**wanted, token=token))
            names += [record.name for record in page.records]
            prefixes += page.prefixes
            sizes.append(len(page.records) + len(page.prefixes))
            token = page.token
            if not token:
                break
        limit, one_more = (
            wanted.get("limit", 1000),
            wanted.get("trailing", False),
        )  # a folder is two entries then
        assert all(limit <= size <= limit + one_more for size in sizes[:-1])
        assert sizes[-1] <= limit + one_more
        return names, prefixes

    yield listed
    shelf.close()


def model(prefix, delimiter, start, end, trailing):
    names, prefixes = [], []
    for name in sorted(NAMES, key=str.encode):
        key = name.encode()
        if not name.startswith(prefix) or key < start.encode() or (end and key >= end.encode()):
            continue
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        group = name[: at + 1] if at >= 0 else None
        if group is None or (trailing and group == name):
            names.append(name)
        if group is not None and group not in prefixes:
            prefixes.append(group)
    return names, prefixes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    prefix=st.sampled_from(["", "a", "a/", "a/b/", "é", "none", "\U0010ffff"]),
    delimiter=st.sampled_from(["", "/", "b"]),
    start=st.sampled_from(["", "a/2", "b", "c"]),
    end=st.sampled_from(["", "a/b/2", "b", "c/d"]),
    trailing=st.booleans(),
    limit=st.integers(1, 20),
)
def test_all_pages_together_are_what_is_wanted(listed, prefix, delimiter, start, end, trailing, limit):
    wanted = {"prefix": prefix, "delimiter": delimiter, "start": start, "end": end, "trailing": trailing}
    assert listed(**wanted, limit=limit) == model(**wanted)


@pytest.mark.parametrize("prefix", ["a", "a/", "z\U0010ffff", "\ud7ff", "é"])
def test_no_name_with_a_prefix_lies_beyond_it(prefix):
    assert (prefix + "\U0010ffff" * 3).encode() < beyond(prefix).encode()
    assert prefix.encode() < beyond(prefix).encode()


# https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("foo*bar", ["foobar", "fooxbar"], ["foo/bar", "foobarx"]),
        ("foo**bar", ["foobar", "foo/x/bar"], ["foo/x/ba"]),
        ("**/foo", ["foo", "a/foo", "a/b/foo"], ["a/xfoo"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb"]),
        ("f??", ["foo"], ["fo", "f/o"]),
        ("[a-m]??[!3-5].png", ["aax1.png"], ["zax1.png", "aax4.png"]),
        ("{foo,ba[rz]}.{csv,txt}", ["foo.csv", "baz.txt"], ["bax.csv"]),
        (r"a\*b.c+", ["a*b.c+"], ["axb.c+", "a*bxc+"]),
    ],
)
def test_globs(glob, matching, other):
    assert [name for name in (*matching, *other) if pattern(glob).fullmatch(name)] == matching


@pytest.mark.parametrize("glob", ["[a", "{a", "[z-a]", "a\\"])
def test_a_malformed_glob_is_refused(glob):
    with pytest.raises(Refusal, match="glob"):
        pattern(glob)


def test_a_glob_and_a_prefix_both_hold(listed):
    assert listed(glob="a/**") == (["a/", "a/1", "a/2", "a/b/1", "a/b/2", "a/b/c/1"], [])
    assert listed(glob="**/1", prefix="a/") == (["a/1", "a/b/1", "a/b/c/1"], [])
    assert listed(glob="c*/*", prefix="a/") == ([], [])
