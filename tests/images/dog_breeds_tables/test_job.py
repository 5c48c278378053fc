"""The job on the emulator's BigQuery: what readers find, what is put aside, and what ends a run with which code."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(200)
Driven = dict[str, Any]


def test_every_breed_of_the_sample_becomes_a_row(driven: Driven) -> None:
    good = driven["good"]
    assert (good["exit_code"], good["raw"], good["parsed"], good["dim_breeds"]) == (0, 40, 40, 40), good
    assert (good["quarantined"], good["checks_passed"]) == (0, good["checks"])
    assert good["checks"] >= 6


def test_each_wart_has_become_what_its_rule_says(driven: Driven) -> None:
    dim = {row[1]: row[2:] for row in driven["tables"]["dim"]}
    assert dim["Amber Quay Spaniel"] == ["Sporting", 11, 13, 13, 16, "metric", None]
    assert dim["Bakery Terrier"][1:3] == [15, 15]  # "15 years"
    assert dim["Beacon Watchdog"][1:3] == [9, 11]  # an en dash
    assert dim["Cloudberry Spitz"][1:3] == [12, 16]  # "12 - 16 Years years"
    assert dim["Dockside Ratter"][3:6] == [None, 7, "metric"]  # "NaN - 7"
    assert dim["Flint Ridge Cur"][3:6] == [22.7, 31.8, "imperial"]  # "NaN" kilograms, "50 – 70" pounds
    assert dim["Dunmere Collie"][0] == "Unknown"  # no group
    assert dim["Barrow Hill Hound"][-1] is None  # origin ""


def test_temperaments_are_split_and_a_breed_without_one_has_none(driven: Driven) -> None:
    words = driven["tables"]["temperaments"]
    assert [1, "Soft-mouthed"] in words
    assert 27 not in {breed for breed, _ in words}
    assert all(word == word.strip() and word for _, word in words)


@pytest.mark.parametrize(
    "rule",
    [
        "every_wart_of_the_api_is_parsed",
        "every_wart_of_the_api_becomes_numbers",
        "a_breed_without_a_group_is_kept",
        "temperaments_are_split_trimmed_and_told_once",
    ],
)
def test_the_projects_own_unit_tests_pass(driven: Driven, rule: str) -> None:
    assert driven["units"][rule] == "pass"


def test_a_failing_check_fails_the_run_and_leaves_readers_what_they_had(driven: Driven) -> None:
    bad = driven["bad"]
    assert (bad["exit_code"], bad["quarantined"]) == (6, 4), bad
    assert "life_span_is_3_to_30_years (2)" in bad["message"]
    assert "breed_id_is_unique (2)" in bad["message"]
    assert driven["tables_after"] == driven["tables"]


def test_the_refused_rows_are_kept_with_their_reason_and_once_a_load(driven: Driven) -> None:
    check, unique = "life_span_is_3_to_30_years", "breed_id_is_unique"
    twice = [3, "breed_id 3 is there more than once", unique, "bad", "15 years"]
    assert driven["again"]["exit_code"] == 6
    assert driven["quarantine"] == [
        [1, "life_span_max_years is 45, not 3 to 30", check, "bad", "45 years"],
        [2, "life_span_max_years is 2, not 3 to 30", check, "bad", "1 - 2 years"],
        twice,
        twice,
    ]


def test_too_many_missing_weights_are_refused_and_nothing_in_quarantine_is_deleted(driven: Driven) -> None:
    light = driven["light"]
    assert (light["exit_code"], light["quarantined"]) == (6, 8), light
    assert "weight_is_mostly_there (8)" in light["message"]
    assert driven["kept"] == 4 + 8


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("no_raw", "dog_breeds_raw.dog_breeds_resource cannot be read"),
        ("empty", "dog_breeds_raw.dog_breeds_resource has no rows"),
        ("old", "was loaded 20 days ago, which is too long"),
    ],
)
def test_a_raw_table_that_is_missing_empty_or_old_is_named(driven: Driven, run: str, says: str) -> None:
    ended = driven[run]
    assert ended["exit_code"] == 4, ended
    assert says in ended["message"]
    assert "Run dog_breeds_ingestion" in ended["message"]


def test_each_run_leaves_a_report_and_its_figures(driven: Driven) -> None:
    folder = driven["folder"]
    assert json.loads((folder / "good.json").read_text())["dim_breeds"] == 40
    page = (folder / "bad.html").read_text()
    assert "life_span_max_years is 45, not 3 to 30" in page
    assert page.count("<svg") == 4
    assert "cannot be read" in (folder / "no-raw.html").read_text()
