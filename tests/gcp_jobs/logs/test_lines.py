"""One job's lines: once each, in the order of their times, no flood."""

import logging

from tests.gcp_jobs.logs.entries import REF, entry, lines_into

from gcp_jobs.logs.cursor import LATE_NS, Cursor
from gcp_jobs.logs.flood import Flood
from gcp_jobs.logs.lines import PRUNE, Lines


def test_entries_that_came_before_are_not_shown_again_and_late_ones_are() -> None:
    said: list[str] = []
    lines = lines_into(said)
    lines.add([entry("a", 1), entry("b", 2)])
    lines.release()
    lines.add([entry("a", 1), entry("late", 1.5), entry("b", 2), entry("c", 3)])
    lines.release()
    assert said == ["line a", "line b", "line late", "line c"]


def test_lines_of_one_insert_id_at_two_times_are_two_lines() -> None:
    """A program may choose its entries' ids; Google tells entries apart by time and id."""
    said: list[str] = []
    lines = lines_into(said)
    lines.add([entry("mine", 1, "one"), entry("mine", 2, "two"), entry("mine", 2, "two")])
    lines.release()
    assert said == ["one", "two"]


def test_what_is_held_comes_out_in_the_order_of_time_and_up_to_a_time() -> None:
    said: list[str] = []
    lines = lines_into(said)
    lines.add([entry("c", 3), entry("a", 1), entry("b", 2)])
    lines.release(entry("", 2).timestamp.ToNanoseconds())
    assert said == ["line a", "line b"]
    lines.release()
    assert said == ["line a", "line b", "line c"]


def test_the_cursor_hands_over_to_the_next_follower_without_a_gap_or_a_double() -> None:
    said: list[str] = []
    one = lines_into(said)
    one.add([entry("a", 1), entry("b", 2)])
    one.release()
    one.add([entry("held back", 2.5)])
    two = lines_into(said, Cursor.from_dict(one.cursor().to_dict()))
    two.add([entry("b", 2), entry("held back", 2.5), entry("c", 2)])
    two.release()
    assert said == ["line a", "line b", "line c", "line held back"]


def test_a_cursor_before_a_gap_leads_back_to_it() -> None:
    lines = lines_into([])
    lines.add([entry("old", 0), entry("new", 100)])
    lines.release()
    gap = entry("", 50).timestamp.ToNanoseconds()
    assert lines.cursor().since > gap
    assert lines.cursor(gap).since == gap


def test_cursor_and_memory_stay_small() -> None:
    lines = lines_into([])
    for n in range(5 * PRUNE):
        lines.add([entry(str(n), n)])
        lines.release()
    assert len(lines.cursor().seen) <= LATE_NS / 10**9 + 1
    assert len(lines._seen) <= PRUNE + 1


def test_a_job_with_several_tasks_says_which_one_wrote() -> None:
    said: list[str] = []
    lines = lines_into(said, show_task=True)
    lines.add([entry("a", 1, labels={"task_id": "uid-group0-7"}), entry("b", 2)])
    lines.release()
    assert said == ["[task 7] line a", "line b"]


def test_a_flood_is_cut_with_how_much_and_where_the_rest_is() -> None:
    said: list[tuple[int, str]] = []
    lines = Lines(REF, lambda level, line: said.append((level, line)), Cursor(), show_task=False, most=20)
    lines.add([entry(str(n), n) for n in range(50)])
    lines.release()
    assert lines.flooded
    lines.close()
    texts = [line for _, line in said]
    assert texts[:20] == [f"line {n}" for n in range(20)]
    assert texts[20].startswith("More than 20 lines at once: cut from here on. All: http")
    assert texts[21].startswith("30 lines or more were cut here. All: http")
    assert [level for level, _ in said[20:]] == [logging.WARNING] * 2


def test_a_long_job_is_shown_again_when_its_flood_is_over_and_a_chatty_one_is_never_cut() -> None:
    now = [0.0]
    flood = Flood(100, clock=lambda: now[0])
    assert sum(flood.admits() for _ in range(150)) == 100
    now[0] += 60
    assert flood.on
    now[0] += 600
    assert not flood.on
    flood.cut = 0
    assert flood.admits()
    steady = Flood(3_600, clock=lambda: now[0])
    for _ in range(10_000):
        now[0] += 1
        assert steady.admits()


def test_nothing_is_said_after_the_end_and_trouble_only_once() -> None:
    said: list[str] = []
    lines = lines_into(said)
    lines.warn("No quota.")
    lines.warn("No quota.")
    lines.close()
    lines.add([entry("late", 1)])
    lines.release()
    assert len(said) == 1
    assert said[0].startswith("No quota. The whole log: http")
