"""Waits under lost, doubled and overtaking messages and refused reads (100,000 of them: make chaos-waiting)."""

from typing import Any

from benchmarks.waiting_chaos import Seen, judged, together, wave


def told(state: str, outcome: str = "ended") -> dict[str, Any]:
    return {"outcome": outcome, "state": state}


def test_the_judge_sees_a_lost_a_wrong_and_a_doubled_wait() -> None:
    """A judge that is blind would call every run right."""
    states = {"a": "FAILED", "b": "SUCCEEDED", "c": "CANCELLED", "d": "FAILED"}
    fired = {"a": told("FAILED"), "b": told("FAILED"), "c": told("CANCELLED", "error")}
    seen = judged(states, {"fired": fired, "twice": 1, "rss_mb": 9.0}, reads=10)
    assert seen == Seen(4, lost=1, wrong_verdicts=2, fired_twice=1, reads_per_job=2.5, peak_rss_mb=9.0)
    assert not seen.right
    assert together([seen, Seen(12, 0, 0, 0, 0.5, 7.0)]) == Seen(16, 1, 2, 1, 1.0, 9.0)


def test_no_wait_is_lost_wrong_or_doubled() -> None:
    seen = wave(300, sweep_s=1.0, seed=7)
    assert seen.right, seen
    assert seen.jobs == 300
