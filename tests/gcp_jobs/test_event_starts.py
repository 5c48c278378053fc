"""The tasks of event_started_job in real DAG runs (dag.test) against the emulator: one job an event."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Param

from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.event_rules.start import Start
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.operators.event_jobs import BatchEventJobOperator, CloudRunEventJobOperator
from gcp_jobs.operators.event_starts import EventStartsOperator, once
from gcp_jobs.settings import settings

pytestmark = pytest.mark.airflow
DAG_FILE = Path(__file__).resolve().parents[2] / "dags" / "event_started_job.py"
PLACE = ("local-project", "europe-west1")
OPERATORS: dict[str, Any] = {"batch": BatchEventJobOperator, "cloud_run": CloudRunEventJobOperator}


@pytest.fixture
def templates(emulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    script = 'echo "$WHO"; exit ${CODE:-0}'
    command = {"name": "event-say", "image": "busybox", "memory": "512Mi", "command": ["sh", "-c", script]}
    (tmp_path / "say.yaml").write_text(json.dumps({"base": command}))
    monkeypatch.setenv("GCP_JOBS_TEMPLATE_FOLDERS", str(tmp_path))
    monkeypatch.setenv("GCP_JOBS_EVENT_RULE_FOLDERS", str(tmp_path / "none"))
    monkeypatch.delenv("GCP_JOBS_STATUS_TOPIC", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def start(identity: str, backend: str = "batch", **env: str) -> Start:
    now = datetime.now(UTC).isoformat()
    return Start(
        "says", identity, "say.yaml", backend, env, by="event rule says, published by me", published=now
    )


Go = Callable[..., list[Any]]


@pytest.fixture
def go(airflow_db: None, templates: None) -> Go:
    """Run the pair of tasks for these starts in a DAG run of its own; gives the mapped tasks' states by index."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(name: str, *starts: Start, backend: str = "batch", tries: int = 0) -> list[Any]:
        params = {"starts": Param([], type="array")}
        with DAG(name, start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, params=params) as dag:
            begun = EventStartsOperator(task_id="start", backend=backend, waits="job")
            OPERATORS[backend].partial(task_id="job", retries=tries, retry_delay=timedelta(0)).expand(
                start=begun.output
            )
        bag = DagBag(dag_folder=os.devnull, bundle_path=Path(os.devnull), bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        dag_run = dag.test(run_conf={"starts": [each.to_dict() for each in starts]})
        found = [ti for ti in dag_run.get_task_instances() if ti.task_id == "job"]
        return [str(ti.state) for ti in sorted(found, key=lambda ti: ti.map_index)]

    return run


def jobs(name: str) -> list[JobStatus]:
    return list(BatchBackend(Access()).search(*PLACE, f'labels.airflow-dag-id="{name}"'))


def test_each_event_of_a_run_has_one_job_and_one_task_that_answers_for_it(
    go: Go, emulator: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    states = go("both", start("b1", WHO="{{ 7 * 7 }}"), start("b2", CODE="3"), start("b1"))
    assert states == ["success", "failed"]
    assert sorted(job.state for job in jobs("both")) == [JobState.FAILED, JobState.SUCCEEDED]
    said = "".join(capfd.readouterr())
    assert "{{ 7 * 7 }}" in said  # what an event says is data: nobody renders it
    assert "exit code 3" in said


def test_an_event_told_of_again_runs_nothing_and_says_who_answers(
    go: Go, capfd: pytest.CaptureFixture[str]
) -> None:
    assert go("first", start("a1"), start("a2", CODE="1")) == ["success", "failed"]
    capfd.readouterr()
    assert go("second", start("a1"), start("a2", CODE="1"), start("a3")) == ["skipped", "skipped", "success"]
    assert len(jobs("first")) == 2
    assert len(jobs("second")) == 1
    assert "The event a1 came before: first / " in "".join(capfd.readouterr())


def test_a_failed_job_runs_again_only_where_its_own_task_is_tried_again(go: Go) -> None:
    assert go("tried", start("t1", CODE="1"), tries=1) == ["failed"]
    assert len(jobs("tried")) == 2


def test_the_same_on_cloud_run_where_no_name_says_that_it_is_there(go: Go, emulator: Any) -> None:
    cloud_run = start("c1", "cloud_run", WHO="me")
    assert go("run_first", cloud_run, backend="cloud_run") == ["success"]
    assert go("run_second", cloud_run, backend="cloud_run") == ["skipped"]
    runs = CloudRunBackend(Access()).list(JobRef("cloud_run", *PLACE, "event-say"))
    assert [run.state for run in runs] == [JobState.SUCCEEDED]


def test_what_cannot_be_begun_is_left_to_its_task_and_holds_no_other_up(
    go: Go, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = Start("says", "w1", "nowhere.yaml", "batch")
    assert go("left", wrong, start("w2")) == ["failed", "success"]
    said = "".join(capfd.readouterr())
    assert "The job of event w1 is left to its task: no job template 'nowhere.yaml'" in said


def test_more_events_than_a_run_maps_have_their_jobs_at_once_and_other_runs_wait_for_them(
    go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    assert go("many", *(start(f"m{number}") for number in range(5))) == ["success", "success"]
    assert len(jobs("many")) == 5
    with create_session() as session:
        query = select(DagRun).where(DagRun.run_id.startswith("more_of__")).order_by(DagRun.run_id)
        handed_on = [[Start.from_dict(each) for each in run.conf["starts"]] for run in session.scalars(query)]
    assert [[(each.identity, each.begun) for each in run] for run in handed_on] == [
        [("m2", True), ("m3", True)],
        [("m4", True)],
    ]
    assert go("more", *handed_on[0]) == ["success", "success"]  # each waits for the job that is there
    assert jobs("more") == []


def test_the_ledger_names_the_rule_and_the_publisher(go: Go) -> None:
    from gcp_jobs.ledger import queries
    from gcp_jobs.ledger.connection import ledger

    assert go("recorded", start("l1")) == ["success"]
    here = ledger()
    assert here is not None
    (row,) = here.read(queries.newest(dag_id="recorded"))
    assert row["triggered_by"] == "event rule says, published by me"
    assert (row["state"], row["exit_code"]) == ("SUCCEEDED", 0)


def test_of_one_identity_the_first_counts() -> None:
    found = once(iter([start("a", WHO="1"), start("b"), start("a", WHO="2")]))
    assert [(each.identity, each.env) for each in found] == [("a", {"WHO": "1"}), ("b", {})]


def test_what_a_triggerer_stores_becomes_jobs_of_one_run_of_the_dag(
    templates: None, airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    """Airflow keeps the watcher, merges what was fired twice, and starts the DAG by itself."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.dag import DagModel
    from airflow.models.trigger import Trigger
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select, update
    from tests.gcp_jobs.small_airflow import SmallAirflow

    from gcp_jobs.triggers.intake import Starts

    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only-for-this-test-" * 4)
    rule = {"name": "says", "source": {"subscription": "says"}, "template": "say.yaml"}
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "says.yaml").write_text(json.dumps(rule))
    bag = DagBag(str(DAG_FILE), bundle_path=DAG_FILE.parent, bundle_name="dags-folder")
    SmallAirflow(bag.dags["event_started_job"])
    with create_session() as session:
        session.execute(
            update(DagModel).where(DagModel.dag_id == "event_started_job").values(is_paused=False)
        )
    airflow = SmallAirflow(bag.dags["event_started_job"])  # a DAG that is paused has no watchers
    with create_session() as session:
        watching = session.scalars(select(Trigger).where(Trigger.classpath.contains("JobEventTrigger"))).all()
        (trigger,) = [each for each in watching if each.assets]
    for identities in (("s1", "s2"), ("s2", "s3")):
        event = TriggerEvent(Starts(starts=[start(each).to_dict() for each in identities]))
        Trigger.submit_event(trigger.id, event)

    def ended() -> bool:  # SQLite's clock has whole seconds: the scheduler starts a run up to one later
        airflow.run()
        return "None" not in (airflow.states() or ["None"])

    until(ended)
    # two that start, three that wait; none on Cloud Run
    assert airflow.states() == {"success": 5, "skipped": 1}
    assert len(jobs("event_started_job")) == 3
