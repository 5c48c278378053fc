"""Real messages get their right class, those that nobody looked at when the rules were written as well.

A wrong class costs somebody a night: a missing right that is tried again for an hour, or a stock-out that is not.
"""

from dataclasses import replace

import pytest
from tests.gcp_jobs.failure.corpus import HALVES, half_of, main, messages, share

from gcp_jobs.failure import PERMANENT, FailureClass

MESSAGES = messages()
STOPS = PERMANENT | {FailureClass.UNKNOWN, FailureClass.APPLICATION, FailureClass.TIMED_OUT}


@pytest.mark.parametrize("half", HALVES)
def test_each_part_of_the_corpus_gets_its_right_classes(half: str) -> None:
    right, total = share(m for m in MESSAGES if m.half == half)
    assert total >= 20
    assert right / total >= 0.95, f"{half}: {right} of {total}"


def test_a_hash_decided_what_was_held_out() -> None:
    assert [m.half for m in MESSAGES[:113]] == [half_of(m.text) for m in MESSAGES[:113]]
    assert len({m.text for m in MESSAGES}) == len(MESSAGES) >= 180
    assert {m.kind for m in MESSAGES} <= set(FailureClass)
    assert all(m.source for m in MESSAGES)


def test_nothing_that_must_stop_is_tried_again() -> None:
    again = [m.text for m in MESSAGES if m.kind in STOPS and m.explained().kind not in STOPS]
    assert again == []


def test_the_report_names_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    out = capsys.readouterr().out
    assert all(half in out for half in HALVES)


def test_no_rule_is_a_whole_text() -> None:
    """What is printed around a message, as other clients and releases do, changes nothing."""
    changed = [replace(m, text=f"[2031-01-02 03:04:05] ERROR 7: {m.text} (attempt 3)") for m in MESSAGES]
    assert sum(m.right for m in changed) >= len(MESSAGES) * 0.98
