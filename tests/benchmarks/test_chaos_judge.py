"""The judge of chaos: a verdict that is too mild hides a doubled job, one that is too harsh hides what matters."""

from dataclasses import replace

import pytest
from benchmarks.chaos.cloud import CANCELLED, FAILED, GOING, SUCCEEDED, Run
from benchmarks.chaos.judge import Deed, Tally, judged
from benchmarks.chaos.points import Point, When, points

GOOD = Run("jobs/a", "u", "d/r/job/-1", "key-0", 1, 100.0, 110.0, SUCCEEDED)
DEED = Deed("d/r/job/-1", "success", "success", 111.0, None, 0, False, False)
ENDED = replace(DEED, wants="failed", final="failed", ended=105.0, acted=105.0, acted_try=1)
CLEARED = replace(DEED, ended=130.0, acted=105.0, acted_try=1, cleared=True)
STOPPED = replace(GOOD, state=CANCELLED, ended=106.0)
AGAIN = replace(GOOD, name="jobs/b", key="key-1", try_number=2, created=107.0, ended=117.0)


def counts(tally: Tally) -> dict[str, int]:
    names = (
        "doubled_completed",
        "orphans",
        "wrong_verdicts",
        "missed_cancels",
        "wrong_cancels",
        "unfinished",
    )
    return {name: getattr(tally, name) for name in names if getattr(tally, name)}


@pytest.mark.parametrize(
    ("runs", "deed", "wrong"),
    [
        ([GOOD], DEED, {}),
        ([STOPPED], ENDED, {}),
        ([replace(GOOD, ended=105.5)], ENDED, {}),
        ([STOPPED, AGAIN], CLEARED, {}),
        ([replace(GOOD, state=FAILED), replace(AGAIN, created=111.0)], DEED, {}),
        ([GOOD, replace(AGAIN, key="key-0", state=CANCELLED)], replace(DEED, two=True), {}),
        ([GOOD, replace(AGAIN, key="key-0")], replace(DEED, two=True), {"doubled_completed": 1}),
        ([GOOD, replace(AGAIN, created=111.0)], DEED, {"doubled_completed": 1}),
        ([replace(GOOD, state=FAILED)], DEED, {"wrong_verdicts": 1}),
        ([GOOD], replace(DEED, final="failed"), {"wrong_verdicts": 1}),
        ([GOOD], replace(DEED, wants="failed", final="failed"), {"wrong_verdicts": 1}),
        ([STOPPED, replace(AGAIN, created=107.0)], DEED, {"wrong_cancels": 1}),
        ([STOPPED, replace(AGAIN, state=CANCELLED)], CLEARED, {"wrong_cancels": 1, "wrong_verdicts": 1}),
        ([replace(GOOD, ended=700.0)], ENDED, {"missed_cancels": 1}),
        ([replace(STOPPED, ended=109.0), AGAIN], CLEARED, {"missed_cancels": 1}),
        ([STOPPED], replace(DEED, wants="failed", final="failed", limited=True), {}),
        ([GOOD], replace(DEED, wants="failed", final="failed", limited=True), {"wrong_verdicts": 1}),
        ([replace(GOOD, state=GOING, ended=None)], ENDED, {"orphans": 1, "missed_cancels": 1}),
        ([GOOD], replace(DEED, final="", ended=None), {"unfinished": 1}),
        ([GOOD, replace(GOOD, task="x/y/z/-1")], DEED, {"orphans": 1}),
    ],
)  # fmt: skip
def test_what_is_allowed_and_what_is_not(runs: list[Run], deed: Deed, wrong: dict[str, int]) -> None:
    tally = judged(runs, [deed], 1000.0)
    assert counts(tally) == wrong
    assert tally.red == bool(wrong)


def test_a_second_run_is_excused_only_where_two_tries_lived_at_once() -> None:
    runs = [GOOD, replace(AGAIN, key="key-0", state=CANCELLED)]
    one, two = judged(runs, [DEED], 1000.0), judged(runs, [replace(DEED, two=True)], 1000.0)
    assert (one.doubled_started, one.excused, one.red) == (1, 0, True)
    assert (two.doubled_started, two.excused, two.red) == (1, 1, False)
    token = judged(runs, [replace(DEED, two=True, token=True)], 1000.0)
    assert (token.doubled_started, token.excused, token.red) == (1, 0, True)


def test_an_orphan_has_the_age_that_it_has_outlived_its_task_by() -> None:
    tally = judged([replace(GOOD, state=GOING, ended=None)], [ENDED], 205.0)
    assert tally.oldest_orphan_s == 100.0


def test_one_that_was_found_in_the_end_has_an_age_too() -> None:
    tally = judged([replace(STOPPED, ended=135.0)], [ENDED], 205.0)
    assert (tally.oldest_orphan_s, tally.red) == (30.0, False)


def test_every_call_that_was_made_is_struck_at_each_of_its_boundaries() -> None:
    calls = [
        {"caller": "worker@p", "method": "google.cloud.run.v2.Jobs/RunJob"},
        {"caller": "worker@p", "method": "google.cloud.run.v2.Jobs/RunJob"},
        {"caller": "triggerer@p", "method": "google.pubsub.v1.Subscriber/StreamingPull"},
        {"caller": "anonymous", "method": "google.cloud.run.v2.Jobs/GetJob"},
    ]
    found = points(calls, {"worker": ("kill",), "triggerer": ("kill", "stall")})
    assert [str(point) for point in found if point.role == "worker"] == [
        "worker Jobs/RunJob after kill", "worker Jobs/RunJob answered kill", "worker Jobs/RunJob before kill",
    ]  # fmt: skip
    streams = [point for point in found if point.role == "triggerer"]
    assert streams == [
        Point("triggerer", calls[2]["method"], When.BEFORE, blow) for blow in ("kill", "stall")
    ]
