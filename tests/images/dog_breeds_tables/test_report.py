"""The report is one page that opens anywhere, and whatever the data says cannot break or script it."""

import re
from pathlib import Path

import pytest

from dog_breeds_tables import report
from dog_breeds_tables.errors import WarehouseError
from dog_breeds_tables.figures import Figures
from dog_breeds_tables.project import Check

FIGURES = Figures(
    rows={"raw": 170, "dim_breeds": None},
    null_rates={"temperament": 0.0235},
    charts={"Breeds by group": [("Toy & <Tiny>", 21), ("Hound", 7)]},
    reasons=[("life_span_max_years is 45, not 3 to 30", 2)],
)
CHECKS = [Check("breed_id_is_unique", "pass", 0), Check("life_span_is_3_to_30_years", "fail", 2)]


def test_the_page_tells_rows_checks_reasons_and_missing_values() -> None:
    page = report.html("Dog breeds, run a-1", "1 checks failed", CHECKS, FIGURES)
    for part in ("170", "not there", "2.4%", "is 45, not 3 to 30", "1 checks failed", '<td class="fail">'):
        assert part in page


def test_the_page_needs_no_other_file_and_quotes_what_the_api_sent() -> None:
    page = report.html("<b>", "<script>", CHECKS, FIGURES)
    assert not re.search(r"(src|href)=|https?://|@import|<script", page)
    assert "Toy &amp; &lt;Tiny&gt;" in page


def test_the_longest_bar_is_the_most_frequent_value() -> None:
    widths = [
        float(width)
        for width in re.findall(r'rect x="\d+" y="\d+" width="([\d.]+)"', report.bars([("a", 4), ("b", 1)]))
    ]
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.01)


def test_a_run_that_counted_nothing_still_says_what_happened() -> None:
    page = report.html("Dog breeds", "the raw table is missing", [], None)
    assert "the raw table is missing" in page
    assert "<table" not in page


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WarehouseError, match=r"REPORT=.*file/one: the report could not be written"):
        report.write(f"{tmp_path}/file/one", "page", {})
