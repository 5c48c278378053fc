"""What the sample API serves, and that repeating it keeps ids apart."""

import json
from pathlib import Path

import pytest

from breeds_api.records import SAMPLE, Records


def test_the_sample_has_the_warts_that_the_real_api_has() -> None:
    """Code that passes on the sample must not fall over the first real answer."""
    breeds = json.loads(SAMPLE.read_text(encoding="utf-8"))
    spans = " ".join(breed["life_span"] for breed in breeds)
    weights = " ".join(breed["weight"]["imperial"] + " " + breed["weight"]["metric"] for breed in breeds)
    assert len(breeds) == len({breed["id"] for breed in breeds}) == 40
    assert "–" in spans
    assert "Years years" in spans
    assert "15 years" in {breed["life_span"] for breed in breeds}
    assert "NaN" in weights
    assert "up - " in weights
    assert any("breed_group" not in breed for breed in breeds)
    assert any("temperament" not in breed for breed in breeds)
    assert any(breed.get("origin") == "" for breed in breeds)


def test_repeated_records_have_ids_of_their_own() -> None:
    """Ids that come twice would fail the checks downstream, and make pages look like repetitions."""
    records = Records.load(repeat=130)
    served = json.loads(records.array(0, 130))
    assert len(served) == len({breed["id"] for breed in served}) == 130
    assert served[0]["name"] == served[40]["name"]
    assert served[40]["id"] == served[0]["id"] + 61


def test_pages_and_stream_hold_the_same_records() -> None:
    records = Records.load(repeat=2_500)
    paged = [
        breed for start in range(0, 2_500, 700) for breed in json.loads(records.array(start, start + 700))
    ]
    assert json.loads(b"".join(records.stream())) == paged


def test_past_the_end_there_is_an_empty_page() -> None:
    assert json.loads(Records.load().array(40, 80)) == []


@pytest.mark.parametrize("text", ["{}", "[]", '[{"name": "no id"}]', '[{"id": true}]', "[3]"])
def test_a_file_that_is_no_list_of_records_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "breeds.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"breeds\.json"):
        Records.load(file)
