"""What dead_letters and reconcile ask of the ledger, on SQLite and on PostgreSQL."""

from datetime import timedelta

from gcp_jobs.ledger import queries
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Action, Attempt
from gcp_jobs.model import JobState

from .conftest import NOW, run

HOUR = timedelta(hours=1)


def test_a_letter_names_the_later_run_that_made_its_task_good(ledger: Ledger) -> None:
    dead = run("dead", state=JobState.FAILED, ended_at=NOW, run_key="k1")
    good = run("good", state=JobState.SUCCEEDED, ended_at=NOW + HOUR, created_at=NOW + HOUR, run_key="k2")
    ledger.write([dead, Attempt("dead", 1, ended_at=NOW, action=Action.DEAD_LETTER)])
    assert [r["made_good_by"] for r in ledger.read(queries.dead_letters())] == [None]
    ledger.write([good])
    assert [r["made_good_by"] for r in ledger.read(queries.dead_letters())] == ["good"]
    assert [r["entry"] for r in ledger.read(queries.of_keys(["k2", "k3"]))] == ["good"]


def test_places_are_told_once_each_and_only_lately_used_ones(ledger: Ledger) -> None:
    ledger.write(
        [run("a"), run("b"), run("c", region="europe-west4"), run("d", region="r", created_at=NOW - HOUR)]
    )
    found = ledger.read(queries.places(NOW))
    assert [row["region"] for row in found] == ["europe-west1", "europe-west4"]
