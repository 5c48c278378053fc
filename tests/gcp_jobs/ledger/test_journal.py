"""What a try tells the ledger; and that a ledger that is away costs nothing and misses nothing."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gcp_jobs.errors import ApiError, JobFailed, JobFailedForGood, LedgerUnavailable, PermissionRefused
from gcp_jobs.failure import Failure, FailureClass
from gcp_jobs.ledger import pending, queries
from gcp_jobs.ledger.connection import open_ledger
from gcp_jobs.ledger.journal import Journal, Task
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Record, Source, entry_of
from gcp_jobs.ledger.scrub import Scrubber
from gcp_jobs.ledger.spool import Spool
from gcp_jobs.model import ExitInfo, JobRef, JobResult, JobSpec, JobState, JobStatus
from gcp_jobs.once import Intent

from .conftest import NOW

REF = JobRef("cloud_run", "p", "europe-west1", "job", "job-x1")
ASKED = Intent(0, 0, "key", JobRef("cloud_run", "p", "europe-west1", "job").to_dict(), NOW.isoformat())
SPEC = JobSpec(name="job", project="p", region="europe-west1", environment="local", image="i:1")
DONE = JobStatus(REF, JobState.SUCCEEDED, created=NOW, started=NOW, ended=NOW + timedelta(seconds=3))


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@dataclass
class Flaky:
    """A ledger that is away while `away` is set."""

    ledger: Ledger
    away: bool = True
    asked: int = field(default=0)

    def write(self, records: Iterable[Record]) -> list[tuple[Record, str]]:
        self.asked += 1
        if self.away:
            raise LedgerUnavailable("it is away")
        return self.ledger.write(records)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(sa.URL.create("sqlite", database=str(tmp_path / "x.db")), patience_s=30)


def journal(writer: Any, store: Store | None, try_number: int = 1) -> Journal:
    task = Task("dag", "run", "task", -1, try_number, "manual", "ann")
    log, scrub = logging.getLogger("test"), Scrubber(lambda text, name: text)
    return Journal(task, store, log, scrub, lambda: writer, "job@p", clock=lambda: NOW)


def test_a_run_from_intent_to_success_in_two_processes(ledger: Ledger) -> None:
    first = journal(ledger, Store())
    first.intends(ASKED, SPEC, {"args": ("a",), "env": {"API_TOKEN": "s3cr3t-value"}})
    first.write()
    (row,) = ledger.read(queries.newest())
    assert (row["state"], row["run"], row["created_at"]) == (None, None, NOW)
    entry = first.started(REF, attached=False, logs_url="http://log")
    first.write()
    second = journal(ledger, Store())
    second.resumed(entry, REF)
    second.reads(DONE)
    second.succeeded(JobResult.of(DONE, ExitInfo(code=0)))
    second.write()
    (row,) = ledger.read(queries.newest())
    assert row["entry"] == entry == entry_of("key", NOW.isoformat())
    assert (row["state"], row["exit_code"], row["run_uid"]) == ("SUCCEEDED", 0, REF.name)
    assert (row["trigger_kind"], row["triggered_by"], row["service_account"]) == ("manual", "ann", "job@p")
    assert row["spec"] == SPEC.model_dump(mode="json")
    assert row["overrides"] == {"args": ["a"], "env": {"API_TOKEN": "***"}}
    assert row["ended_at"] - row["started_at"] == timedelta(seconds=3)
    assert [t["state"] for t in ledger.read(queries.trail(REF.name))] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    (held,) = ledger.read(queries.tries(entry))
    assert (held["via"], held["number"], held["failure_class"], held["ended_at"]) == ("started", 1, None, NOW)


def test_a_failure_is_kept_with_class_code_and_remedy(ledger: Ledger) -> None:
    here = journal(ledger, Store())
    here.intends(ASKED, SPEC, {})
    here.started(REF, attached=False, logs_url="")
    here.reads(JobStatus(REF, JobState.FAILED, started=NOW, ended=NOW, reason="NON_ZERO_EXIT_CODE"))
    error = JobFailed("Job failed")
    error.failure = Failure(FailureClass.DEPENDENCY_DOWN, "the source is down", "Wait.", dependency="dog api")
    error.exit_info = ExitInfo(4, None, 2)
    here.failed(error, last=False)
    here.write()
    (row,) = ledger.read(queries.newest())
    assert {n: row[n] for n in ("failure_class", "exit_code", "failed_task", "message", "remedy", "reason")} == {
        "failure_class": "dependency_down", "exit_code": 4, "failed_task": 2, "message": "the source is down",
        "remedy": "Wait.", "reason": "NON_ZERO_EXIT_CODE",
    }  # fmt: skip
    (held,) = ledger.read(queries.tries(row["entry"]))
    assert (held["action"], held["dependency"]) == ("retry", "dog api")


def test_a_refused_start_and_the_retry_that_takes_over(ledger: Ledger) -> None:
    """The first try's error must not stick to the run that the second one brings to a good end."""
    first = journal(ledger, Store())
    first.intends(ASKED, SPEC, {})
    first.failed(ApiError("no answer"), last=False)
    first.write()
    second = journal(ledger, Store(), try_number=2)
    second.intends(ASKED.of(REF), SPEC, {})
    entry = second.started(REF, attached=True, logs_url="")
    second.reads(DONE)
    second.succeeded(JobResult.of(DONE, ExitInfo(code=0)))
    second.write()
    (row,) = ledger.read(queries.newest())
    assert (row["state"], row["failure_class"], row["try_number"]) == ("SUCCEEDED", None, 1)
    tries = ledger.read(queries.tries(entry))
    assert [(t["via"], t["failure_class"], t["dependency"]) for t in tries] == [
        (None, "unknown", "run.googleapis.com"), ("attached", None, None),
    ]  # fmt: skip


def test_a_permanent_refusal_is_a_dead_letter(ledger: Ledger) -> None:
    here = journal(ledger, Store())
    here.intends(ASKED, SPEC, {})
    here.failed(PermissionRefused("no right"), last=False)
    here.write()
    (held,) = ledger.read(queries.tries(entry_of("key", NOW.isoformat())))
    assert (held["failure_class"], held["action"], held["message"]) == (
        "permission",
        "dead_letter",
        "no right",
    )
    assert [letter["entry"] for letter in ledger.read(queries.dead_letters())] == [held["entry"]]


def test_what_somebody_cancelled_is_no_dead_letter(ledger: Ledger) -> None:
    here = journal(ledger, Store())
    here.intends(ASKED, SPEC, {})
    error = JobFailedForGood("Job failed")
    error.failure = Failure(FailureClass.CANCELLED, "it was cancelled", "", permanent=True)
    here.failed(error, last=True)
    here.write()
    (held,) = ledger.read(queries.tries(entry_of("key", NOW.isoformat())))
    assert held["action"] == "stop"


def test_what_a_task_could_not_write_is_written_by_the_next_one_of_the_machine(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A task that is over writes no more, and Airflow shows its state store to nobody else."""
    flaky, spool = Flaky(ledger), Spool(tmp_path / "spool")
    over = journal(flaky, Store())
    over.spool = spool
    over.intends(ASKED, SPEC, {})
    over.write()
    over.started(REF, attached=False, logs_url="")
    over.write()
    (file,) = spool.folder.iterdir()
    assert (file.stat().st_mode & 0o077, spool.folder.stat().st_mode & 0o077) == (0, 0)
    (spool.folder / "broken.json").write_text("{")
    with pytest.raises(LedgerUnavailable):
        spool.drain(flaky)
    flaky.away = False
    other = replace(journal(flaky, Store()), spool=spool, task=Task("other", "run", "task", -1, 1))
    other.intends(replace(ASKED, run_key="other"), SPEC, {})
    other.write()
    assert {row["dag_id"] for row in ledger.read(queries.newest())} == {"dag", "other"}
    assert not list(spool.folder.iterdir())


def test_a_task_that_catches_up_by_itself_leaves_nothing_in_the_spool(ledger: Ledger, tmp_path: Path) -> None:
    flaky, spool, store = Flaky(ledger), Spool(tmp_path / "spool"), Store()
    here = replace(journal(flaky, store), spool=spool)
    here.intends(ASKED, SPEC, {})
    here.write()
    flaky.away = False
    here.started(REF, attached=False, logs_url="")
    here.write()
    assert (list(spool.folder.iterdir()), store[pending.STORE_KEY]) == ([], [])


def test_what_could_not_be_written_waits_in_the_state_store_until_the_next_write(ledger: Ledger) -> None:
    flaky, store = Flaky(ledger), Store()
    first = journal(flaky, store)
    first.intends(ASKED, SPEC, {})
    first.write()
    first.started(REF, attached=False, logs_url="")
    first.write()
    assert len(store[pending.STORE_KEY]) == 2  # the run once, and the try
    flaky.away = False
    second = journal(flaky, store)
    second.resumed(entry_of("key", NOW.isoformat()), REF)
    second.reads(DONE)
    second.write()
    assert store[pending.STORE_KEY] == []
    (row,) = ledger.read(queries.newest())
    assert (row["state"], row["spec"]["image"], row["run"]) == ("SUCCEEDED", "i:1", "job-x1")
    assert len(ledger.read(queries.trail(REF.name))) == 3


def test_a_reconciliation_catches_up_what_no_later_write_did(ledger: Ledger) -> None:
    flaky, store = Flaky(ledger), Store()
    here = journal(flaky, store)
    here.intends(ASKED, SPEC, {})
    here.write()
    with pytest.raises(LedgerUnavailable):
        pending.catch_up(store, flaky)
    assert pending.load(store)
    flaky.away = False
    assert pending.catch_up(store, flaky) == 1
    assert pending.catch_up(store, flaky) == 0
    assert len(ledger.read(queries.newest())) == 1


def test_without_a_ledger_nothing_waits_and_nothing_is_asked() -> None:
    store = Store()
    here = journal(None, store)
    here.intends(ASKED, None, {})
    here.started(REF, attached=False, logs_url="")
    here.write()
    assert store == {}


def test_whatever_breaks_the_task_goes_on(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Store):
        def get(self, key: str, default: Any = None) -> Any:
            raise RuntimeError("the API server is away")

    here = journal(ledger, Broken())
    here.intends(ASKED, SPEC, {})
    here.write()
    assert "Nothing is written to the ledger: RuntimeError: the API server is away" in caplog.text


def test_a_kill_asks_airflow_nothing(ledger: Ledger) -> None:
    class Busy(Store):
        def get(self, key: str, default: Any = None) -> Any:
            raise AssertionError("the supervisor is busy with our end")

    here = journal(ledger, None)
    here.intends(ASKED, SPEC, {})
    here.started(REF, attached=False, logs_url="")
    here.write()
    here.store = Busy()
    here.reads(JobStatus(REF, JobState.CANCELLATION_IN_PROGRESS), Source.CANCEL)
    here.write(wait=False)
    (row,) = ledger.read(queries.newest())
    assert row["state"] == "CANCELLATION_IN_PROGRESS"
    assert [t["source"] for t in ledger.read(queries.trail(REF.name))] == ["cancel"]
