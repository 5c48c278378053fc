"""Records may come late, twice and in any order: what stands in the end is the same, and never contradicts itself."""

import functools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcp_jobs.ledger.connection import open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import (
    KINDS,
    OUTCOME,
    RANK,
    Attempt,
    Run,
    Source,
    Transition,
    entry_of,
    joined,
    kind_of,
    reached,
)
from gcp_jobs.ledger.schema import runs
from gcp_jobs.model import TERMINAL, JobRef, JobState, JobStatus

from .conftest import NOW, run

MOMENTS = st.integers(0, 9).map(lambda minutes: NOW + timedelta(minutes=minutes))


@st.composite
def told(draw: st.DrawFn) -> Run:
    """What some writer knows of one run."""
    state = draw(st.none() | st.sampled_from(JobState))
    known: dict[str, Any] = {"state": state, "started_at": draw(st.none() | MOMENTS)}
    known["run"] = draw(st.none() | st.sampled_from(["a", "b"]))
    if state in TERMINAL:
        known["ended_at"] = draw(st.none() | MOMENTS)
        known["failure_class"] = draw(st.none() | st.just(f"class of {state}"))
        known["exit_code"] = draw(st.none() | st.integers(0, 3))
    return run(**known)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    file = tmp_path_factory.mktemp("ledger") / "ledger.db"
    return open_ledger(sa.URL.create("sqlite", database=str(file)), patience_s=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(told(), min_size=1, max_size=5))
def test_the_database_and_the_outbox_agree_on_what_several_writers_know(
    kept: Ledger, said: list[Run]
) -> None:
    kept.write([run("warm")])
    with kept.engine.begin() as connection:
        connection.execute(runs.delete())
    for each in said:
        kept.write([each])
        (row,) = kept.read(sa.select(runs))
        state = JobState(row["state"]) if row["state"] else None
        assert row["ended_at"] is None or row["started_at"] is None or row["ended_at"] >= row["started_at"]
        assert state in TERMINAL or all(row[name] is None for name in OUTCOME)
        assert row["failure_class"] in (None, f"class of {state}")
    whole = functools.reduce(Run.join, said)
    assert {name: row[name] for name in row} == {name: getattr(whole, name) for name in row}
    first_end = next((each.state for each in said if each.state in TERMINAL), None)
    highest = max((each.state for each in said if each.state), key=RANK.__getitem__, default=None)
    assert whole.state is (first_end or whole.state)
    assert RANK.get(whole.state or JobState.QUEUED, 0) >= RANK.get(
        highest or JobState.QUEUED, 0
    )  # never back
    kept.write(said)  # all of it once more changes nothing
    assert kept.read(sa.select(runs)) == [row]


@given(told())
def test_a_record_survives_the_outbox(record: Run) -> None:
    others = (
        Attempt("e1", 2, began_at=NOW, message="x"),
        Transition("uid", JobState.RUNNING, NOW, Source.TASK),
    )
    for each in (record, *others):
        assert KINDS[kind_of(each)].from_dict(each.to_dict()) == each
        assert KINDS[kind_of(each)].from_dict({**each.to_dict(), "of a later release": 1}) == each


def test_an_outcome_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="terminal"):
        run(state=JobState.RUNNING, exit_code=1)
    with pytest.raises(ValueError, match="time zone"):
        run(created_at=NOW.replace(tzinfo=None))


def test_writers_meet_in_the_same_order_so_that_none_waits_for_another() -> None:
    records = [run("b"), Attempt("b", 1), run("a"), run("b", run="x"), Attempt("a", 1)]
    assert [(kind_of(r), r.key[0]) for r in joined(records)] == [
        ("run", "a"), ("run", "b"), ("attempt", "a"), ("attempt", "b"),
    ]  # fmt: skip
    assert joined(records) == joined(reversed(records))


def test_a_status_tells_of_the_states_before_it() -> None:
    ref = JobRef("batch", "p", "europe-west1", "job", uid="job-123")
    ended = JobStatus(ref, JobState.SUCCEEDED, created=NOW, started=NOW + timedelta(seconds=5))
    seen = list(reached(ended, "job-123", NOW + timedelta(seconds=9), Source.TASK))
    assert [(t.state, (t.at - NOW).total_seconds()) for t in seen] == [
        ("QUEUED", 0), ("RUNNING", 5), ("SUCCEEDED", 9),
    ]  # fmt: skip


def test_the_same_dag_run_made_anew_gets_an_entry_of_its_own() -> None:
    assert entry_of("key", "2026-11-02T02:00:00+00:00") != entry_of("key", "2026-11-02T03:00:00+00:00")


def test_parse_time_stays_light() -> None:
    """An operator's module is imported for every DAG file: no database library may come with it."""
    import subprocess
    import sys

    code = "import sys, gcp_jobs.ledger.journal; sys.exit(any(n in sys.modules for n in ('sqlalchemy', 'alembic')))"
    plugins = Path(__file__).resolve().parents[3] / "plugins"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(plugins)}).returncode == 0
