"""Orphans are found and cancelled only where they may be; records that nobody closed are closed, once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.census import Found, Maker, Turns, census
from gcp_jobs.backends.choice import backend_for
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import open_ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import Run
from gcp_jobs.model import JobRef, JobSpec, JobState, JobStatus
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.context import identity_of
from gcp_jobs.pace import Pace
from gcp_jobs.reconcile import Reconciliation, Severity, Sight, Standing, standing

HOUR = timedelta(hours=1)
ACCESS = Access()
MAKER = Maker("d", "r", "t", 3)


class Quiet:
    """A log that nobody reads."""

    def info(self, msg: str, *args: Any) -> None: ...
    def warning(self, msg: str, *args: Any) -> None: ...
    def error(self, msg: str, *args: Any) -> None: ...
    def log(self, level: int, msg: str, *args: Any) -> None: ...


@pytest.mark.parametrize(
    ("seen", "recorded", "expected"),
    [
        (Sight(True, "deferred", "run"), True, Standing.LIVE),
        (Sight(True, "up_for_retry", "run"), True, Standing.LIVE),
        (Sight(True, "running", None), False, Standing.LIVE),  # about to attach
        (Sight(True, None, None), True, Standing.LIVE),  # cleared, not yet scheduled
        (Sight(True, "running", "another"), True, Standing.ORPHAN),
        (Sight(True, "failed"), False, Standing.ORPHAN),
        (Sight(False), True, Standing.ORPHAN),
        (Sight(False), False, Standing.STRANGE),
        (None, False, Standing.STRANGE),
    ],
)
def test_a_run_is_an_orphan_only_when_no_task_waits_for_it(
    seen: Sight | None, recorded: bool, expected: Standing
) -> None:
    assert standing(seen, "run", recorded=recorded)[0] is expected


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(sa.URL.create("sqlite", database=str(tmp_path / "ledger.db")), patience_s=60)


@pytest.fixture
def started(emulator: Any) -> Iterator[Callable[..., JobRef]]:
    """Start a run as an operator does; all of them are cancelled at the end."""
    refs: list[JobRef] = []

    def start(backend: str, key: str, mode: str = "sleep", seconds: str = "60", **env: str) -> JobRef:
        name = f"reconciled-{key}"
        spec = JobSpec(
            name=name, project="local-project", region="europe-west1", environment="local", memory="512Mi",
            image="repo/sample-job:1", labels={"managed-by": "gcp-jobs"},
        )  # fmt: skip
        names = {"DAG_ID": "d", "RUN_ID": "r", "TASK_ID": "t", "MAP_INDEX": "3"}
        env = {"CLOUD_RUN_EXECUTION": "batch", **env} if backend == "batch" else env  # the image prints it
        request = RunRequest(
            JobRef(backend, spec.project, spec.region, name), run_key=key * 32, args=(mode, seconds), spec=spec,
            env={f"GCP_JOBS_{n}": v for n, v in names.items()} | env,
        )  # fmt: skip
        if backend == "cloud_run":
            CloudRunBackend(ACCESS).ensure(spec)
        refs.append(backend_for(request.job, ACCESS).submit(request))
        return refs[-1]

    yield start
    for ref in refs:
        backend_for(ref, ACCESS).cancel(ref)


def looked(backend: str) -> list[Found]:
    pace = Turns(Pace(100_000).turn, time.sleep)
    return list(census(backend, ACCESS, "local-project", "europe-west1", datetime.now(UTC) - HOUR, pace))


def row(ref: JobRef, key: str, **changes: Any) -> Run:
    run = Run(
        f"{key}{ref.backend}", "d", "r", "t", 3, 1, ref.backend, ref.project, ref.region, ref.job, run_key=key * 32,
        run=ref.run or None, run_uid=ref.uid or ref.name, created_at=datetime.now(UTC) - HOUR,
        state=JobState.RUNNING,
    )  # fmt: skip
    return replace(run, **changes)


def reconciliation(seen: Sight, ledger: Ledger | None, **options: Any) -> Reconciliation:
    from gcp_jobs.waiting import drive, end

    def ends(ref: JobRef) -> JobStatus | None:
        status: JobStatus | None = drive(end(ref, log=Quiet()), backend_for(ref, ACCESS), ref, None)
        return status

    options = {"grace": timedelta(0), **options}
    return Reconciliation(
        look=lambda _: seen, backend=lambda ref: backend_for(ref, ACCESS), end=ends, ledger=ledger,
        now=datetime.now(UTC), **options,
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["batch", "cloud_run"])
def test_an_orphan_is_reported_left_within_its_grace_and_cancelled_only_where_set(
    started: Callable[..., JobRef], ledger: Ledger, backend: str
) -> None:
    key = "a" if backend == "batch" else "b"
    ref = started(backend, key)
    ledger.write([row(ref, key)])
    (found,) = [each for each in looked(backend) if each.status.ref.name == ref.name]
    assert found.maker == MAKER
    dead = Sight(True, "failed")
    for options, action in (
        ({}, "reported"),
        ({"cancel_orphans": True, "grace": HOUR}, "left: younger than 60 min"),
        ({"cancel_orphans": True, "dry_run": True}, "would be cancelled"),
    ):
        work = reconciliation(dead, ledger, **options)
        work.orphans([found])
        (issue,) = work.issues
        assert (issue.resource_type, issue.id, issue.action) == (ref.noun, ref.name, action)
        assert "its task is failed; made by d / r / t[3]" in issue.message
    live = reconciliation(Sight(True, "deferred", ref.name), ledger, cancel_orphans=True)
    live.orphans([found])
    assert (live.issues, live.counts["live"]) == ([], 1)
    work = reconciliation(dead, ledger, cancel_orphans=True)
    work.orphans([found])
    assert (work.issues[0].action, work.counts["cancelled"]) == ("cancelled, it is CANCELLED", 1)
    (kept,) = ledger.read(queries.newest(run_key=key * 32))
    assert (kept["state"], kept["failure_class"]) == ("CANCELLED", "cancelled")


def test_an_execution_that_was_started_twice_loses_its_twin_and_keeps_its_record(
    started: Callable[..., JobRef], ledger: Ledger
) -> None:
    mine, twin = started("cloud_run", "7"), started("cloud_run", "7")
    ledger.write([row(mine, "7")])
    work = reconciliation(Sight(True, "deferred", mine.name), ledger, cancel_orphans=True)
    work.orphans([each for each in looked("cloud_run") if each.status.run_key == "7" * 32])
    assert [(issue.id, issue.action) for issue in work.issues] == [(twin.name, "cancelled, it is CANCELLED")]
    assert ledger.read(queries.newest())[0]["state"] == "RUNNING"
    assert not backend_for(mine, ACCESS).get(mine).terminal


def test_what_is_not_ours_or_was_meant_to_outlive_its_task_is_never_cancelled(
    started: Callable[..., JobRef],
) -> None:
    refs = started("batch", "c"), started("batch", "d", GCP_JOBS_KEEP="true")
    found = [each for each in looked("batch") if each.status.ref in refs]
    kept, strange = sorted(found, key=lambda each: not each.keep)
    work = reconciliation(Sight(known=False), None, cancel_orphans=True)
    work.orphans([strange])
    work.look = lambda _: Sight(True, "failed")
    work.orphans([kept])
    assert [issue.action for issue in work.issues] == [
        "left: not ours to cancel",
        "left: cancel_on_kill is off",
    ]
    assert work.issues[0].severity is Severity.WARNING
    assert not any(backend_for(ref, ACCESS).get(ref).terminal for ref in refs)


@pytest.mark.parametrize("backend", ["batch", "cloud_run"])
def test_a_region_is_read_page_by_page_down_to_its_horizon_within_the_pace(
    started: Callable[..., JobRef], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr("gcp_jobs.backends.census._PAGE", 1)
    refs = {started(backend, key).name for key in ("1", "2", "3")}
    waits: list[float] = []
    found = census(
        backend,
        ACCESS,
        "local-project",
        "europe-west1",
        datetime.now(UTC) - HOUR,
        Turns(lambda: 0.5, waits.append),
    )
    assert refs <= {each.status.ref.name for each in found}
    assert len(waits) >= 3
    waits.clear()
    assert (
        len(
            list(
                census(
                    backend,
                    ACCESS,
                    "local-project",
                    "europe-west1",
                    datetime.now(UTC) + HOUR,
                    Turns(lambda: 0.5, waits.append),
                )
            )
        )
        == len(waits)
        == 1
    ), "what is older than the horizon is not read"


@pytest.mark.parametrize("backend", ["batch", "cloud_run"])
def test_open_records_are_closed_as_the_cloud_has_it_and_a_second_time_nothing_is_left(
    started: Callable[..., JobRef], ledger: Ledger, until: Any, backend: str
) -> None:
    key = "e" if backend == "batch" else "f"
    ref = started(backend, key, "exit", "3")
    until(lambda: backend_for(ref, ACCESS).get(ref).terminal)
    gone = replace(ref, job="reconciled-gone", run="reconciled-gone-1" if ref.run else "", uid="")
    never = row(
        replace(gone, run=""), "0", entry="never", run=None, run_uid=None, state=None, run_key="0" * 32
    )
    lost = row(ref, key, entry="lost", run=None, run_uid=None, state=None)  # the worker died after the call
    ledger.write([row(ref, key), row(gone, "9", entry="gone"), never, lost])
    live = reconciliation(Sight(True, "deferred"), ledger)
    live.repair()
    assert live.issues == [], "their tasks close them"
    dry = reconciliation(Sight(True, "failed"), ledger, dry_run=True)
    dry.repair()
    work = reconciliation(Sight(True, "failed"), ledger)
    work.repair()
    assert dry.counts["repaired"] == work.counts["repaired"] == 4
    ends = {
        r["entry"]: (r["state"], r["failure_class"], r["exit_code"]) for r in ledger.read(queries.newest())
    }
    assert ends[f"{key}{backend}"] == ends["lost"] == ("FAILED", "application", 3)
    assert ends["gone"] == ends["never"] == ("GONE", "gone", None)
    again = reconciliation(Sight(True, "failed"), ledger)
    again.repair()
    assert (again.issues, again.counts["repaired"]) == ([], 0)


@pytest.mark.parametrize("cancels", [True, False])
def test_a_job_says_which_task_made_it_and_whether_it_may_outlive_it(
    started: Callable[..., JobRef], cancels: bool
) -> None:
    operator = CloudRunJobOperator(task_id="t", job_name="x", cancel_on_kill=cancels)
    ti: Any = SimpleNamespace(
        dag_id="dag", run_id="run", task_id="t", map_index=-1, try_number=1, task=operator
    )
    ref = started("cloud_run", "4" if cancels else "5", "ok", **identity_of(ti))
    (found,) = [each for each in looked("cloud_run") if each.status.ref == ref]
    assert (found.maker, found.keep) == (Maker("dag", "run", "t", -1), not cancels)
