"""GoogleSQL expressions with the results that BigQuery's documentation gives, right or refused by name.

The tables lie in `documented`, by the pages of the documentation.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.gcp_emulator.bigquery.sql.documented import (
    aggregates,
    arrays,
    conversion,
    dates,
    json,
    numbers,
    operators,
    strings,
)
from tests.gcp_emulator.bigquery.sql.world import World, root, world

TABLES = (operators, conversion, numbers, strings, dates, json, arrays, aggregates)
RIGHT = [case for table in TABLES for case in table.RIGHT]
REFUSED = [text for table in TABLES for text in table.REFUSED]
WRONG = [case for table in TABLES for case in table.WRONG]


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    connection = root()
    yield world(connection)
    connection.close()


def test_the_table_is_large_and_mostly_right() -> None:
    assert len(RIGHT) >= 400
    assert len(REFUSED) <= len(RIGHT) / 4
    assert len({text for text, _ in RIGHT}) == len(RIGHT), "no expression counts twice"


@pytest.mark.parametrize(("text", "expected"), RIGHT, ids=[text for text, _ in RIGHT])
def test_an_expression_has_bigquerys_documented_result(here: World, text: str, expected: Any) -> None:
    ((value,),) = here.all(f"SELECT {text}")
    assert value == expected
    assert isinstance(value, type(expected))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_known_to_be_right_is_refused_by_name(here: World, text: str) -> None:
    assert "emulator" in here.refused(f"SELECT {text}")


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[text for text, _ in WRONG])
def test_an_error_says_what_bigquery_says(here: World, text: str, message: str) -> None:
    assert message in here.refused(f"SELECT {text}")
