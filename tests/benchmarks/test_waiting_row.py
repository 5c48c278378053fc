"""The figures of `make bench-waiting` say what was seen: a wrong verdict or a silent trigger is a failure."""

from typing import Any

from benchmarks.waiting import SIZES, cells
from benchmarks.waiting_row import FAILED, Cell, Sample, Seen, delays, percentile, row
from hypothesis import given
from hypothesis import strategies as st


def seen(fired: dict[str, tuple[float, dict[str, Any]]], **more: Any) -> Seen:
    given: dict[str, Any] = {
        "before": Sample(reads=10, cpu_s=1.0, at=100.0),
        "after": Sample(reads=40, cpu_s=1.6, at=160.0),
        "rss_kb": 300.0,
        "sockets": 3,
        "ready_s": 2.0,
        "ended": {f"j{n}": 1000.0 + n for n in range(10)},
        "burst": {},
        "woken_by": {"event": 10, "first_read": 0, "sweep": 0},
    }
    return Seen(fired=fired, **{**given, **more})


def test_a_row_counts_per_job_and_minute_and_from_a_jobs_own_end() -> None:
    fired = {f"j{n}": (1000.0 + n + 0.001 * n, {"outcome": "ended"}) for n in range(10)}
    found = row(Cell("ours", 10), seen(fired))
    assert (found["p50_ms"], found["p95_ms"], found["max_ms"]) == (5.0, 9.0, 9.0)
    assert (found["reads_per_job_minute"], found["cpu_ms_per_job_minute"]) == (3.0, 60.0)
    assert (found["rss_kb_per_waiter"], found["sockets"], found["failures"]) == (30.0, 3, 0)


def test_what_did_not_fire_or_said_something_else_is_a_failure() -> None:
    fired: dict[str, tuple[float, dict[str, Any]]] = {
        "j0": (1001.0, {"outcome": "error"}),
        "j1": (1002.0, {"outcome": "ended"}),
    }
    assert row(Cell("ours", 10), seen(fired))["failures"] == 9
    refused = {
        "j0": (1001.0, {"message": "429 Quota exceeded"}),
        "j1": (1002.0, {"message": f"Job {FAILED}"}),
    }
    found = row(Cell("stock", 10), seen(refused))
    assert (found["failures"], found["p50_ms"]) == (9, 1000.0)
    assert row(Cell("stock", 10), seen({}))["p95_ms"] is None


def test_those_that_end_all_at_once_are_no_part_of_the_trickles_delays_but_must_fire_too() -> None:
    fired = {"j0": (1000.5, {"outcome": "ended"}), "b0": (2009.0, {"outcome": "ended"})}
    found = row(Cell("ours", 3), seen(fired, ended={"j0": 1000.0}, burst={"b0": 2000.0, "b1": 2000.0}))
    assert (found["max_ms"], found["burst_max_ms"], found["burst"], found["failures"]) == (
        500.0,
        9000.0,
        1,
        1,
    )


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_were_seen(values: list[float]) -> None:
    late = delays({str(n): 0.0 for n in range(len(values))}, {str(n): v / 1000 for n, v in enumerate(values)})
    points = [percentile(late, share) for share in (0.0, 0.5, 0.95, 1.0)]
    assert points == sorted(point for point in points if point is not None)
    assert (points[0], points[-1]) == (round(late[0], 1), round(late[-1], 1))


def test_the_stock_side_is_measured_with_and_without_the_quota_where_it_breaks_it() -> None:
    sizes = {name: default for name, (default, _) in SIZES.items()}
    found = list(cells(sizes))
    assert [c.quota for c in found if (c.side, c.waiting) == ("stock", 5_000)] == [False, True]
    assert [c.waiting for c in found if c.side == "ours" and c.pubsub == "embedded" and c.portal] == SIZES[
        "ours"
    ][0]
