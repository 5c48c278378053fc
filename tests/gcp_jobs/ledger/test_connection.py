"""Which database the ledger is: the connection's, the laptop's file, or none; said clearly where it cannot be."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow.sdk import Connection

from gcp_jobs.errors import SettingsError
from gcp_jobs.ledger.__main__ import main
from gcp_jobs.ledger.connection import ledger, url_of
from gcp_jobs.ledger.record import Attempt, Source, Transition, Via
from gcp_jobs.model import JobState
from gcp_jobs.settings import settings

from .conftest import NOW, run

Place = Callable[..., None]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """Set the environment that decides."""

    def set_all(**env: str) -> None:
        for name, value in {"AIRFLOW_HOME": str(tmp_path), "GCP_JOBS_PROJECT": "a-project", **env}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        ledger.cache_clear()

    yield set_all
    settings.cache_clear()
    ledger.cache_clear()


def test_on_a_laptop_it_is_a_file_in_airflows_home(place: Place, tmp_path: Path) -> None:
    place()
    found = ledger()
    assert found
    assert found.embedded
    found.write([run()])
    assert (tmp_path / "gcp_jobs_ledger.db").exists()


def test_elsewhere_there_is_none_until_the_connection_exists(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place(GCP_JOBS_ENVIRONMENT="prod")
    with caplog.at_level("INFO"):
        assert ledger() is None
    assert "no connection gcp_jobs_ledger (GCP_JOBS_LEDGER_CONN_ID" in caplog.text
    url = "postgres://ann:pw@db.example:5433/jobs?sslmode=verify-full&cursor=dict"
    place(GCP_JOBS_ENVIRONMENT="prod", AIRFLOW_CONN_GCP_JOBS_LEDGER=url)
    found = ledger()
    assert found
    assert str(found) == "postgresql+psycopg2://ann:***@db.example:5433/jobs?sslmode=verify-full"


def test_empty_means_none(place: Place) -> None:
    place(GCP_JOBS_LEDGER_CONN_ID="")
    assert ledger() is None


def test_a_connection_names_a_file_too(tmp_path: Path) -> None:
    for said in ({"host": "/data/x.db"}, {"schema": "/data/x.db"}):
        connection = Connection.from_json(json.dumps({"conn_type": "sqlite", **said}), "c")
        assert url_of(connection, tmp_path).database == "/data/x.db"
    socket = Connection.from_uri("postgres://ann@/jobs?host=%2Frun%2Fpg", "c")
    assert url_of(socket, tmp_path).query == {"host": "/run/pg"}


def test_another_kind_of_database_is_refused_by_name(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place(AIRFLOW_CONN_GCP_JOBS_LEDGER="mysql://h/db")
    with pytest.raises(
        SettingsError, match=r"'mysql' \(connection gcp_jobs_ledger\)\. Allowed: postgres, sqlite"
    ):
        ledger()
    assert main(["list"]) == 1
    assert "Allowed: postgres, sqlite" in capsys.readouterr().err


def test_the_commands_show_what_there_is(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place()
    assert main(["list"]) == 0
    assert "holds no such run" in capsys.readouterr().out
    here = ledger()
    assert here
    ended = run("abcdef0123456789", run_uid="job-1", state=JobState.FAILED, started_at=NOW, ended_at=NOW,
        failure_class="permission", message="no right", spec={"image": "i"})  # fmt: skip
    here.write([ended, Attempt(ended.entry, 1, 1, Via.STARTED, began_at=NOW)])
    here.write([run("other"), Transition("job-1", JobState.FAILED, NOW, Source.TASK)])
    assert main(["list", "--state", "FAILED"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["entry", "state", "class"]
    assert line.split() == [
        "abcdef0123", "FAILED", "permission", "dag", "/", "run", "/", "task", "1", "job", "2026-11-02", "02:00:00.000",
        "0.0",
    ]  # fmt: skip
    here.write([run("underway", run_uid="job-2")])
    assert main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["other"].split()[1:3] == ["not", "started"]  # it was asked for, no more is known
    assert lines["underway"].split()[1:3] == ["started", "dag"]
    assert main(["show", "abcd"]) == 0
    shown = capsys.readouterr().out
    for part in ("message          no right", '{"image": "i"}', "via started", "state FAILED", "source task"):
        assert part in shown
    assert main(["show", "nothing"]) == 1
    assert main(["upgrade"]) == 0
    assert capsys.readouterr().out.strip().endswith("nothing to do")


def test_a_reader_who_has_seen_enough_is_no_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`... show RUN | head` ended in a traceback."""
    place()
    here = ledger()
    assert here
    here.write([run("e1")])
    gone, ours = os.pipe()
    os.close(gone)
    with os.fdopen(ours, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["show", "e1"]) == 0
