"""What every DAG of this repository promises to its operators and users."""

import ast
import itertools
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "dags").glob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")


@pytest.fixture
def dag(bag: Any, path: Path) -> Any:
    return bag.dags[path.stem]


def test_no_dag_file_fails_to_load(bag: Any) -> None:
    assert bag.import_errors == {}
    assert len(bag.dags) >= len(FILES)


def test_whoever_reads_a_batch_jobs_failure_finds_its_class_in_the_dags_documentation(bag: Any) -> None:
    from gcp_jobs.failure import FailureClass

    doc = bag.dags["batch_job"].doc_md
    assert [kind for kind in FailureClass if f"[{kind}]" not in doc] == []


@each_file
def test_the_file_bears_the_name_of_its_dag(bag: Any, path: Path) -> None:
    assert path.stem in bag.dags


@each_file
def test_the_docs_say_what_it_does_and_what_to_do_when_it_fails(dag: Any) -> None:
    assert dag.description
    assert len(dag.doc_md) > 300
    assert "When it fails" in dag.doc_md
    assert "Owner" in dag.doc_md


@each_file
def test_somebody_owns_it_and_it_can_be_found(dag: Any) -> None:
    assert dag.owner not in ("", "airflow")
    assert dag.tags


@each_file
def test_a_clear_start_no_catch_up_one_run_at_a_time(dag: Any) -> None:
    """But for those who submit, whose runs have nothing to do with each other."""
    assert dag.start_date is not None
    assert dag.catchup is False
    assert dag.max_active_runs == (25_000 if dag.dag_id in ("batch_job", "event_started_job") else 1)


@each_file
def test_every_task_says_how_often_it_is_tried_and_what_it_does(dag: Any) -> None:
    for task in dag.tasks:
        assert 0 <= task.retries <= 5, task.task_id
        assert timedelta(0) < task.retry_delay <= timedelta(hours=1), task.task_id
        assert task.doc_md, task.task_id


@each_file
def test_every_param_has_a_schema_a_title_a_description_and_a_default_that_fits(dag: Any) -> None:
    assert dag.params.validate()
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema.get("type"), name
        assert param.schema.get("title"), name
        assert param.description, name


@each_file
def test_unknown_params_are_refused_by_whatever_runs_first(dag: Any) -> None:
    from gcp_jobs.params import refuse_unknown

    for task in dag.roots:
        assert task._pre_execute_hook is refuse_unknown, task.task_id


@each_file
def test_it_holds_wiring_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, defined)] == []


@each_file
def test_loading_it_brings_in_nothing_heavy(path: Path) -> None:
    heavy = (
        "google.cloud",
        "google.api_core",
        "google.auth",
        "grpc",
        "dlt",
        "duckdb",
        "pyarrow",
        "pandas",
        "sqlglot",
    )
    code = (
        "import airflow.sdk, runpy, sys\n"
        "from airflow.sdk import BaseOperator, DAG\n"
        f"had = set(sys.modules)\nrunpy.run_path({str(path)!r})\n"
        f"print(sorted(m for m in set(sys.modules) - had if m.startswith({heavy!r})))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip().splitlines()[-1] == "[]"


class TestDogBreedsIngestion:
    """Its own promises."""

    def test_it_runs_on_mondays_at_two_utc(self, bag: Any) -> None:
        runs = _next_runs(
            bag.dags["dog_breeds_ingestion"].timetable, pendulum.datetime(2026, 3, 24, tz="UTC"), 3
        )
        assert runs == [
            pendulum.datetime(2026, 3, 30, 2),
            pendulum.datetime(2026, 4, 6, 2),
            pendulum.datetime(2026, 4, 13, 2),
        ]

    def test_the_asset_is_updated_by_the_check_and_not_before(self, bag: Any) -> None:
        dag = bag.dags["dog_breeds_ingestion"]
        assert [asset.name for asset in dag.get_task("check").outlets] == ["dog_breeds_raw"]
        assert dag.get_task("ingest").outlets == []
        assert dag.get_task("check").upstream_task_ids == {"ingest"}

    def test_in_another_zone_it_keeps_its_local_time_over_both_clock_changes(self) -> None:
        from airflow.sdk import CronTriggerTimetable

        timetable = CronTriggerTimetable("0 2 * * 1", timezone="America/New_York")
        berlin = CronTriggerTimetable("30 4 * * 1", timezone="Europe/Berlin")
        for table, zone, hour in ((timetable, "America/New_York", 2), (berlin, "Europe/Berlin", 4)):
            for year_part in (pendulum.datetime(2026, 3, 1), pendulum.datetime(2026, 10, 11)):
                runs = _next_runs(table, year_part, 6)
                local = [run.in_timezone(zone) for run in runs]
                assert {(run.hour, run.day_of_week) for run in local} == {(hour, pendulum.MONDAY)}
                assert len({run.utcoffset() for run in local}) == 2, "both offsets are met"
                assert [(b.date() - a.date()).days for a, b in itertools.pairwise(local)] == [7] * 5

    def test_schedule_and_zone_are_settings(self) -> None:
        code = (
            "from airflow.dag_processing.dagbag import DagBag\n"
            "from pathlib import Path\n"
            "bag = DagBag('dags', bundle_path=Path('dags'), bundle_name='dags-folder')\n"
            "t = bag.dags['dog_breeds_ingestion'].timetable\n"
            "print(t.expression, t.timezone)"
        )
        env = os.environ | {
            "PYTHONPATH": str(ROOT / "plugins"),
            "GCP_JOBS_INGESTION_SCHEDULE": "30 4 * * 2",
            "GCP_JOBS_INGESTION_TIMEZONE": "Europe/Berlin",
        }
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "30 4 * * 2" in ran.stdout
        assert "Europe/Berlin" in ran.stdout


def _next_runs(timetable: Any, after: pendulum.DateTime, count: int) -> list[pendulum.DateTime]:
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable

    core = CronTriggerTimetable(timetable.expression, timezone=str(timetable.timezone))
    restriction = TimeRestriction(earliest=after, latest=None, catchup=True)
    runs, last = [], None
    for _ in range(count):
        info = core.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)
        assert info is not None
        runs.append(info.run_after)
        last = info
    return runs
