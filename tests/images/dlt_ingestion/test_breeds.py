"""What counts as a record that can be used, and what is said of the others."""

import pytest

from dlt_ingestion.breeds import Batch
from dlt_ingestion.elements import Unreadable


@pytest.mark.parametrize("text", [b'{"id": 1}', b'{"id": -5, "name": null}', b'{"id": 9223372036854775807}'])
def test_an_object_with_a_whole_number_id_is_a_row(text: bytes) -> None:
    batch = Batch()
    batch.add([text])
    assert batch.texts == [text]
    assert not batch.rejected
    assert batch.size == len(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"null", "object"),
        (b'"Poodle"', "object"),
        (b"[1]", "object"),
        (b'{"name": "x"}', "missing required field `id`"),
        (b'{"id": "17"}', "got `str`"),
        (b'{"id": true}', "got `bool`"),
        (b'{"id": 1.0}', "got `float`"),
        (b'{"id": null}', "got `null`"),
        (b'{"id": 9223372036854775808}', "9223372036854775807"),
        (b'{"name": "\\ud800", "id": 1}', "."),
    ],
)
def test_anything_else_is_set_aside_with_its_reason(text: bytes, reason: str) -> None:
    """A record that is dropped without a word is lost."""
    batch = Batch()
    batch.add([text, b'{"id": 2}'])
    assert batch.row_ids == [2]
    assert batch.records == 2
    assert batch.rejected[0].record == text.decode()
    assert reason in batch.rejected[0].reason or reason == "."


def test_batches_add_up() -> None:
    one, two = Batch(), Batch()
    one.add([b'{"id": 1}'])
    two.add([b'{"id": 2}', Unreadable("{NaN}", "NaN is no JSON")])
    one.merge(two)
    assert (one.row_ids, one.records, one.size) == ([1, 2], 3, 9 + 9 + 5)
