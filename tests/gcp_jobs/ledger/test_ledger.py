"""Many writers at once, a database that is away, records that it will never take: on SQLite and on PostgreSQL."""

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gcp_jobs.errors import LedgerUnavailable
from gcp_jobs.ledger import queries
from gcp_jobs.ledger.circuit import Circuit
from gcp_jobs.ledger.connection import open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Action, Attempt, Decision, Record, Run, Source, Transition, Verdict, Via
from gcp_jobs.ledger.schema import attempts, runs, transitions
from gcp_jobs.model import JobState

from .conftest import NOW, run

Rows = Callable[[sa.Table], list[dict[str, Any]]]
ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.GONE)


def life(entry: str, writer: int) -> list[list[Record]]:
    """All that one writer tells of a run; writers disagree about its end."""
    end = ENDS[writer % len(ENDS)]
    uid, over = f"uid-{entry}", NOW + timedelta(seconds=9 + writer)
    return [
        [run(entry)],
        [run(entry, run_uid=uid), Transition(uid, JobState.QUEUED, NOW, Source.TASK)],
        [
            run(entry, state=JobState.RUNNING, started_at=NOW),
            Attempt(entry, 1, 1, Via.STARTED, began_at=NOW),
            Transition(uid, JobState.RUNNING, NOW, Source.EVENT),
        ],
        [
            run(entry, state=end, ended_at=over, failure_class=f"of {end}"),
            Transition(uid, end, over, Source.TASK),
        ],
    ]


def tell(url: str, writer: int, entries: int) -> None:
    """A process with four threads that all tell of the same runs."""
    here = open_ledger(sa.make_url(url), patience_s=60)

    def all_of(thread: int) -> None:
        for number in range(entries):
            for step in life(f"e{(number + thread) % entries}", writer * 4 + thread):
                here.write(step)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(all_of, range(4)))


def test_many_processes_and_threads_leave_one_row_a_thing_and_one_verdict(
    url: sa.URL, ledger: Ledger, rows: Rows
) -> None:
    spawn = multiprocessing.get_context("spawn")
    text = url.render_as_string(hide_password=False)
    processes = [spawn.Process(target=tell, args=(text, n, 2)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
        assert process.exitcode == 0
    found = rows(runs)
    assert [row["entry"] for row in sorted(found, key=lambda r: r["entry"])] == ["e0", "e1"]
    for row in found:
        assert row["failure_class"] == f"of {row['state']}"  # the winner's, whole
        assert row["ended_at"] >= row["started_at"]
    assert len(rows(attempts)) == 2
    told = [(row["run_uid"], row["state"]) for row in rows(transitions)]
    assert len(told) == len(set(told)) == 2 * (2 + len(ENDS))


def test_a_later_verdict_changes_nothing_but_the_same_verdict_may_say_more(
    ledger: Ledger, rows: Rows
) -> None:
    ledger.write([run(state=JobState.FAILED, ended_at=NOW)])  # an event knows no more
    ledger.write([run(state=JobState.SUCCEEDED, ended_at=NOW + timedelta(1), exit_code=0)])
    ledger.write([run(state=JobState.RUNNING, started_at=NOW - timedelta(1))])
    ledger.write(
        [run(state=JobState.FAILED, exit_code=137, failure_class="out_of_memory", message="it grew")]
    )
    (row,) = rows(runs)
    assert (row["state"], row["exit_code"], row["failure_class"]) == ("FAILED", 137, "out_of_memory")
    assert (row["started_at"], row["ended_at"]) == (NOW - timedelta(1), NOW)


def test_a_record_that_the_database_refuses_does_not_hold_up_the_others(ledger: Ledger, rows: Rows) -> None:
    broken = run("bad", dag_id=None)
    ((refused, why),) = ledger.write([run("good"), broken, run("other")])
    assert refused == broken
    assert "dag_id" in why
    assert {row["entry"] for row in rows(runs)} == {"good", "other"}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes the connection and then never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_database_that_does_not_answer_costs_a_second_once_a_machine(
    silent: socket.socket, tmp_path: Path
) -> None:
    url = sa.URL.create("postgresql+psycopg2", "u", "p", "127.0.0.1", silent.getsockname()[1], "db")
    here = open_ledger(url, tmp_path)
    with pytest.raises(LedgerUnavailable, match="no answer within 1 s") as first:
        here.write([run()])
    assert ":p@" not in str(first.value)
    silent.accept()[0].close()
    for again in (here, open_ledger(url, tmp_path)):  # the next process asks no more either
        with pytest.raises(LedgerUnavailable, match="a moment ago"):
            again.write([run()])
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.accept()  # nobody has knocked again


def test_a_locked_file_is_not_waited_for(tmp_path: Path) -> None:
    here = open_ledger(sa.URL.create("sqlite", database=str(tmp_path / "x.db")), tmp_path, patience_s=0.3)
    here.write([run("before")])
    with here.engine.begin(), pytest.raises(LedgerUnavailable):  # somebody holds the write lock
        here.write([run()])
    here.circuit.held()
    here.write([run()])
    assert len(here.read(queries.newest())) == 2


def test_tables_that_are_missing_are_named_with_the_command_that_makes_them(postgres: sa.URL) -> None:
    with pytest.raises(LedgerUnavailable, match=r"python -m gcp_jobs\.ledger upgrade"):
        open_ledger(postgres, patience_s=30).write([run()])


def test_the_circuit_closes_after_its_rest_and_after_an_answer(tmp_path: Path) -> None:
    now = [time.time()]
    mine, others = (Circuit(tmp_path / "mark", 30, lambda: now[0]) for _ in range(2))
    assert not others.rests_s
    mine.failed()
    assert 0 < others.rests_s <= 30
    now[0] += 31
    assert not others.rests_s
    mine.failed()
    now[0] += 1
    others.held()
    assert not others.rests_s


def test_whoever_asks_by_hand_is_answered_though_tasks_were_not_a_moment_ago(ledger: Ledger) -> None:
    ledger.write([run()])
    ledger.circuit.failed()
    with pytest.raises(LedgerUnavailable, match="a moment ago"):
        ledger.read(queries.newest())
    assert len(ledger.patient(30).read(queries.newest())) == 1


def test_what_the_next_parts_ask_for(ledger: Ledger) -> None:
    over: dict[str, Any] = {"state": JobState.FAILED, "ended_at": NOW, "machine_type": "e2-small"}
    spent = Attempt("dead", 1, 4, failure_class="stock_out", action=Action.DEAD_LETTER, ended_at=NOW)
    told: list[Record] = [
        run("dead", run_uid="uid-1", provisioning="spot", **over), spent,
        run("thrown", **over), Attempt("thrown", 1, action=Action.DEAD_LETTER, ended_at=NOW),
        Decision("thrown", Verdict.DISCARDED, NOW, "ann", "was a test"),
        run("again", replay_of="dead", run_uid="uid-2"),
        Attempt("again", 1, 1, failure_class="permission", dependency="run.googleapis.com", ended_at=NOW),
    ]  # fmt: skip
    ledger.write(told)
    assert [(r["entry"], r["replayed_by"]) for r in ledger.read(queries.dead_letters())] == [
        ("dead", "again")
    ]
    assert {r["entry"]: (r["provisioning"], r["failure_class"]) for r in ledger.read(queries.outcomes(NOW))} == {
        "dead": ("spot", "stock_out"), "thrown": (None, None), "again": (None, "permission"),
    }  # fmt: skip
    assert [r["entry"] for r in ledger.read(queries.unfinished(NOW + timedelta(1)))] == ["again"]
    assert ledger.read(queries.unfinished(NOW)) == []
    assert [r["entry"] for r in ledger.read(queries.known(["uid-2", "uid-3"]))] == ["again"]
    told_tries = ledger.read(queries.history("dag", "run", "task"))
    assert {(r["entry"], r["held_by_try"], r["try_action"]) for r in told_tries} >= {
        ("dead", 1, "dead_letter")
    }
    assert [r["entry"] for r in ledger.read(queries.newest(state="FAILED", limit=1))] == ["dead"]
    assert {r["entry"] for r in ledger.read(queries.found("job"))} == {"dead", "thrown", "again"}
    assert [r["entry"] for r in ledger.read(queries.found("aga"))] == ["again"]


def test_times_come_back_in_utc(ledger: Ledger, rows: Rows) -> None:
    from zoneinfo import ZoneInfo

    ledger.write([Run.from_dict({**run().to_dict(), "created_at": "2026-11-02T03:00:00+01:00"})])
    (row,) = rows(runs)
    assert row["created_at"] == NOW.astimezone(ZoneInfo("Asia/Tokyo"))
    assert row["created_at"].utcoffset() == timedelta(0)
