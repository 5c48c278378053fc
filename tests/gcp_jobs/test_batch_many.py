"""BatchJobOperator in numbers: five hundred mapped, a backfill, a pool that counts who waits, and want of quota."""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from tests.gcp_jobs.hub.world import PROJECT, REGION, World
from tests.gcp_jobs.small_airflow import SmallAirflow, fire

from gcp_jobs.clients import Access, client
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.settings import settings

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
SPEC = {"name": "many", "image": "gcp-emulator/pretend"}
NEVER_PAUSED = {"schedule": None, "is_paused_upon_creation": False, "max_active_tasks": 1000}


@pytest.fixture
def world(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The emulator with a status topic, so that all waits share one stream."""
    topic = f"projects/{PROJECT}/topics/many"
    monkeypatch.setenv("GCP_JOBS_STATUS_TOPIC", topic)
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only-for-this-test-" * 4)
    settings.cache_clear()
    publisher = client("Publisher", Access())
    publisher.create_topic(name=topic)
    here = World(emulator, topic)
    yield here
    here.heal()
    publisher.delete_topic(topic=topic)


def a_dag(name: str, **changes: Any) -> DAG:
    return DAG(name, start_date=datetime(2026, 1, 1, tzinfo=UTC), **{**NEVER_PAUSED, **changes})


def made_by(world: World, dag: DAG) -> list[Any]:
    """The jobs that a DAG has made, by the emulator's record."""
    return list(
        world.batch.list_jobs(
            {
                "parent": f"projects/{PROJECT}/locations/{REGION}",
                "filter": f'labels.airflow-dag-id="{dag.dag_id}"',
                "page_size": 1000,
            }
        )
    )


def refusals(world: World) -> int:
    """How many calls were refused for want of quota."""
    with urllib.request.urlopen(f"{world.emulator.url}/emulator/faults") as answer:
        return sum(int(fault["hits"]) for fault in json.load(answer)["faults"] if fault["kind"] == "quota")


class Index:
    """What a mapped task sees of Airflow, where Airflow's own database would only cost time."""

    def __init__(self, task: Any, index: int) -> None:
        self.dag_id, self.task_id, self.run_id = task.dag.dag_id, task.task_id, "one"
        self.map_index, self.try_number, self.max_tries = index, 1, 0
        self.task = task
        self.pushed: dict[str, Any] = {}
        self.stored: dict[str, Any] = {}
        self.context: Any = {
            "ti": self,
            "dag": task.dag,
            "dag_run": SimpleNamespace(clear_number=0, conf={}),
            "task_state_store": self,
            "task": task,
            "params": {},
        }
        task.render_template_fields(self.context)
        self.operator = self.context["task"]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        return self.stored.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.stored[key] = value


def test_five_hundred_mapped_tasks_are_five_hundred_jobs_that_wait_on_one_stream(world: World) -> None:
    count = 500
    with a_dag("many_mapped") as dag:
        mapped = BatchJobOperator.partial(task_id="job", spec=SPEC, verbose=False).expand(
            args=[[f"say={n}"] for n in range(count)]
        )
    world.fault("exhaust", machine_type="*")  # they wait for machines until all waits have begun
    tasks, triggers = [Index(mapped, n) for n in range(count)], []
    for task in tasks:
        with pytest.raises(TaskDeferred) as deferred:
            task.operator.execute(task.context)
        path, arguments = deferred.value.trigger.serialize()
        triggers.append(import_string(path)(**arguments))
    events = fire(triggers, world.heal)
    results = [
        task.operator.execute_complete(task.context, event.payload)
        for task, event in zip(tasks, events, strict=True)
    ]
    jobs = made_by(world, dag)
    assert len({result["job"] for result in results}) == len(jobs) == count
    assert {result["state"] for result in results} == {"SUCCEEDED"}
    assert Counter(job.labels["airflow-map-index"] for job in jobs) == {str(n): 1 for n in range(count)}
    said = {job.labels["airflow-map-index"]: job.task_groups[0].task_spec.runnables[0].container.commands
            for job in jobs}  # fmt: skip
    assert said == {str(n): [f"say={n}"] for n in range(count)}
    assert world.emulator.count("CreateJob") == count
    assert world.emulator.count("StreamingPull") == 1
    assert world.emulator.count("GetJob") <= 3 * count  # the first look, the confirming one, the verdict


@pytest.mark.parametrize(("counts_who_waits", "rounds"), [(True, [3, 3, 2]), (False, [8])])
def test_a_pool_bounds_the_jobs_only_where_it_counts_those_who_wait(
    world: World, airflow_db: None, counts_who_waits: bool, rounds: list[int]
) -> None:
    from airflow.models.pool import Pool

    pool = f"pool-{counts_who_waits}".lower()
    Pool.create_or_update_pool(pool, slots=3, description="", include_deferred=counts_who_waits)
    with a_dag(pool) as dag:
        BatchJobOperator.partial(task_id="job", spec=SPEC, verbose=False, pool=pool).expand(
            args=[[f"say={n}"] for n in range(8)]
        )
    airflow = SmallAirflow(dag)
    airflow.start("one")
    assert airflow.run() == rounds
    assert airflow.states() == {"success": 8}
    assert len(made_by(world, dag)) == world.emulator.count("CreateJob") == 8


def test_a_backfill_of_fifty_runs_makes_one_job_a_run(world: World, airflow_db: None) -> None:
    from airflow.models.backfill import ReprocessBehavior, _create_backfill

    with a_dag(
        "many_days", schedule="@daily", catchup=False, end_date=datetime(2026, 2, 19, tzinfo=UTC)
    ) as dag:
        BatchJobOperator(task_id="job", spec=SPEC, args=["say={{ ds }}"], verbose=False)
    airflow = SmallAirflow(dag)
    _create_backfill(
        dag_id=dag.dag_id,
        from_date=datetime(2026, 1, 1, tzinfo=UTC),
        to_date=datetime(2026, 2, 19, tzinfo=UTC),
        max_active_runs=50,
        reverse=False,
        dag_run_conf={},
        triggering_user_name="somebody",
        reprocess_behavior=ReprocessBehavior.NONE,
    )
    waited = airflow.run()
    assert airflow.states() == {"success": 50}, waited
    days = Counter(
        job.task_groups[0].task_spec.runnables[0].container.commands[0] for job in made_by(world, dag)
    )
    assert len(days) == world.emulator.count("CreateJob") == 50
    assert set(days.values()) == {1}
    assert {"say=2026-01-01", "say=2026-02-19"} <= set(days)


def test_want_of_quota_fails_no_task_and_makes_no_second_job(
    world: World, airflow_db: None, until: Callable[..., Any]
) -> None:
    with a_dag("many_refused") as dag:
        BatchJobOperator.partial(task_id="job", spec=SPEC, verbose=False).expand(
            args=[["seconds=1"] for _ in range(12)]
        )
    world.fault("call", code="RESOURCE_EXHAUSTED", methods=["*/CreateJob"], nth=[2, 5])
    world.fault("quota", methods=["*/GetJob", "*/ListJobs"], per_minute=2)  # for the looks after those two
    airflow = SmallAirflow(dag)
    airflow.start("one")

    def relax() -> None:
        until(lambda: refusals(world) >= 10, 120)
        world.heal()

    assert airflow.run(relax) == [12]
    assert airflow.states() == {"success": 12}
    assert len(made_by(world, dag)) == 12
    assert world.emulator.count("CreateJob") == 14
