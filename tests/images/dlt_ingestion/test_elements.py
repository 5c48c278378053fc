"""The streaming reader: any array, however it is cut into chunks, gives its elements and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlt_ingestion import elements as module
from dlt_ingestion.elements import BrokenArray, Element, NotAnArray, Unreadable, elements

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from(["id", "name", "},{", "]"]), JSON, max_size=4)


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def read(body: bytes, size: int = 7) -> list[Element]:
    return [element for batch in elements(chunks(body, size)) for element in batch]


def values(found: list[Element]) -> list[Any]:
    return [json.loads(element) for element in found if isinstance(element, bytes)]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts every few bytes, so that each test crosses many of them."""
    monkeypatch.setattr(module, "STEP_BYTES", 16)


@given(
    found=st.lists(RECORDS | JSON, max_size=8),
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
@settings(deadline=None)
def test_every_array_comes_out_as_it_went_in(
    found: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    """A cut inside a text that looks like the end of a record must not tear or lose one."""
    body = json.dumps(found, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    assert values(read(body, size)) == found


def test_records_keep_the_bytes_that_they_had() -> None:
    """1.10 must not become 1.1, nor a large number lose its last digits."""
    record = b'{"id": 1, "b": 1.10, "c": 123456789012345678901234567890, "d": "\\u00e9"}'
    assert read(b"[" + record + b"," + record + b"]") == [record, record]


def test_one_record_with_a_nan_costs_only_itself() -> None:
    found = read(b'[{"id": 1}, {"id": 2, "w": NaN}, {"id": 3, "w": [-Infinity]}, {"id": 4}]')
    assert values(found) == [{"id": 1}, {"id": 4}]
    assert [e for e in found if isinstance(e, Unreadable)] == [
        Unreadable('{"id": 2, "w": NaN}', "NaN is no JSON"),
        Unreadable('{"id": 3, "w": [-Infinity]}', "-Infinity is no JSON"),
    ]


def test_one_record_that_is_no_utf8_costs_only_itself() -> None:
    found = read('[{"id": 1}, {"id": 2, "n": "é'.encode() + b'\xff"}, {"id": 3, "n": "\xc3\xa9"}]')
    assert values(found) == [{"id": 1}, {"id": 3, "n": "é"}]
    assert Unreadable('{"id": 2, "n": "é�"}', "bytes that are no UTF-8") in found


def test_a_byte_order_mark_and_blanks_are_no_harm() -> None:
    assert read(b"\xef\xbb\xbf \n[ ]\n ") == []
    assert values(read(b'\n[ 1 , "a" ,{"b":[{"c":1},{"d":2}]} ]\r\n')) == [
        1,
        "a",
        {"b": [{"c": 1}, {"d": 2}]},
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"[",
        b"[1",
        b'[{"id": 1}',
        b'[{"id": 1},',
        b'[{"id": 1}, {"id"',
        b'[{"id": 1}, ]',
        b'[{"id": 1} {"id": 2}]',
        b'[{"id": 1}, oops]',
        b'[{"id": 1}] [2]',
        b'[{"id": 1}]<html>',
        b'[{"id": 01}]',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_breaks_off_or_goes_wrong_is_an_error(body: bytes, size: int) -> None:
    """Half an answer taken for a whole one would replace the table by half of it."""
    with pytest.raises(BrokenArray):
        read(body, size)


@pytest.mark.parametrize("body", [b"<!DOCTYPE html>", b'{"message": "no"}', b"42", b'"text"', b"null"])
def test_what_is_no_array_is_shown(body: bytes) -> None:
    with pytest.raises(NotAnArray) as caught:
        read(body)
    assert body.startswith(caught.value.start[:3])


def test_an_endless_element_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that never closes must not fill the memory."""
    monkeypatch.setattr(module, "MAX_ELEMENT_BYTES", 1_000)
    with pytest.raises(BrokenArray, match="goes wrong"):
        read(b'["' + b"x" * 100_000, 100)
