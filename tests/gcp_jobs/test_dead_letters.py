"""Which letters are meant, what a replay asks for, and what it refuses."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import types

from gcp_jobs import clients
from gcp_jobs.clients import Access
from gcp_jobs.dead_letters import poison
from gcp_jobs.dead_letters.choice import Choice, LetterRefused, table
from gcp_jobs.dead_letters.replay import arguments
from gcp_jobs.errors import TemplateError, UnknownParams
from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import ledger
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.dead_letters import BatchReplayOperator
from gcp_jobs.settings import Settings, settings
from gcp_jobs.spec import JobSpec

DEV = Settings.model_validate({"environment": "local"})
PROD = Settings.model_validate({"environment": "prod", "project": "prod-project"})
SPEC = JobSpec(
    name="report", project="local-project", region="europe-west1", environment="local", image="i:1",
    env={"LEVEL": "{{ raw }}"}, secrets={"API_KEY": "key:1"}, memory="2Gi",
).model_dump(mode="json")  # fmt: skip
RUN_ENV = {"GCP_JOBS_DAG_ID": "d", "TRACEPARENT": "00-1", "SHARD": "3"}


def letter(entry: str = "ab12cd34", **changes: Any) -> dict[str, Any]:
    row = {
        "entry": entry, "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "backend": "batch",
        "project": "local-project", "region": "europe-west1", "job": "report-0123456789abcdef0123",
        "run_key": "0123456789abcdef0123" + "4" * 12, "failure_class": "preempted", "replayed_by": None,
        "made_good_by": None,
        "created_at": datetime(2026, 11, 2, tzinfo=UTC), "ended_at": datetime(2026, 11, 2, 1, tzinfo=UTC),
        "message": "the machine\nwas taken", "spec": SPEC,
        "overrides": {"env": RUN_ENV, "args": ["a"], "labels": {"airflow-dag-id": "d", "team": "x"}},
    }  # fmt: skip
    return row | changes


def test_letters_are_chosen_by_the_start_of_their_entry_or_by_what_they_are() -> None:
    late = datetime(2026, 11, 3, tzinfo=UTC)
    letters = [letter(), letter(), letter("ff00", failure_class="quota", ended_at=late)]
    assert [r["entry"] for r in Choice.of({"entries": ["ab1", "ab12"]}).of_letters(letters)] == ["ab12cd34"]
    assert [r["entry"] for r in Choice.of({"failure_class": "quota"}).of_letters(letters)] == ["ff00"]
    assert [r["entry"] for r in Choice.of({"since": "2026-11-02T12:00:00"}).of_letters(letters)] == ["ff00"]
    assert len(Choice.of({}).of_letters(letters)) == 2
    assert not Choice.of({"entries": [], "dag_id": None}).narrow
    assert "the machine was taken" in table(letters)[1]


def test_a_letter_that_is_none_any_more_is_named() -> None:
    with pytest.raises(LetterRefused, match=r"'0099' is no dead letter \(any more\)"):
        Choice(entries=("0099",)).of_letters([letter()])
    with pytest.raises(LetterRefused, match="means several"):
        Choice(entries=("ab",)).of_letters([letter("ab01"), letter("ab02")])
    with pytest.raises(LetterRefused, match="is no time"):
        Choice.of({"since": "yesterday"})


def test_a_replay_is_the_same_job_without_what_belongs_to_the_old_task() -> None:
    given = arguments(letter(), {}, DEV)
    assert given["env"] == {"SHARD": "3", "GCP_JOBS_REPLAY_OF": "ab12cd34"}
    assert (given["args"], given["labels"]) == (["a"], {"team": "x"})
    assert JobSpec.model_validate(given["spec"]).digest == JobSpec.model_validate(SPEC).digest


def test_changed_fields_are_merged_and_checked_like_a_template() -> None:
    given = arguments(
        letter(), {"memory": "8Gi", "secrets": {"SHARD2": "s:1"}, "env": {"SHARD": None, "LEVEL": None}}, DEV
    )
    assert given["spec"]["memory"] == "8Gi"
    assert given["spec"]["secrets"] == {"API_KEY": "key:1", "SHARD2": "s:1"}
    assert "SHARD" not in given["env"]
    assert given["spec"]["env"] == {}
    with pytest.raises(UnknownParams, match=r"'memori' .did you mean 'memory'"):
        arguments(letter(), {"memori": "8Gi"}, DEV)
    with pytest.raises(TemplateError, match="memory"):
        arguments(letter(), {"memory": "much"}, DEV)


@pytest.mark.parametrize(
    ("hidden", "field"),
    [
        ({"overrides": {"env": {"API_TOKEN": "***"}}}, "env.API_TOKEN"),
        ({"spec": SPEC | {"args": ["--url", "postgres://me:***@host"]}}, "spec.args.1"),
        ({"spec": SPEC | {"args": ["x" * 8005]}}, "spec.args.0"),
    ],
)
def test_what_the_ledger_hid_or_cut_is_not_replayed_and_the_field_is_named(
    hidden: dict[str, Any], field: str
) -> None:
    with pytest.raises(LetterRefused, match=f"the value of {field} .*Clear the task") as refused:
        arguments(letter(**hidden), {}, DEV)
    assert refused.value.permanent


def test_a_hidden_variable_given_as_a_secret_makes_the_letter_whole() -> None:
    given = arguments(
        letter(spec=SPEC | {"env": {"API_TOKEN": "***"}}), {"secrets": {"API_TOKEN": "t:1"}}, DEV
    )
    assert (given["spec"]["secrets"]["API_TOKEN"], given["spec"]["env"]) == ("t:1", {})


def test_on_cloud_run_a_replay_changes_the_run_and_the_definition_only_where_we_write_it() -> None:
    run = letter(backend="cloud_run", job="report")
    given = arguments(run, {"task_count": 2, "timeout": "10m"}, PROD)
    assert given["overrides"] == {"task_count": 2, "timeout": {"seconds": 600}}
    assert arguments(run, {"memory": "8Gi"}, DEV)["spec"]["memory"] == "8Gi"
    assert arguments(run, {"env": {"LEVEL": "debug"}}, PROD)["env"]["LEVEL"] == "debug"
    with pytest.raises(LetterRefused, match="env cannot be changed: in prod"):
        arguments(run, {"env": {"LEVEL": None}}, PROD)
    with pytest.raises(LetterRefused, match="memory cannot be changed: in prod the deployment"):
        arguments(run, {"memory": "8Gi"}, PROD)


def test_jobs_without_a_template_are_replayed_as_they_were_given() -> None:
    job = {"taskGroups": [{"taskCount": 2}]}
    given = arguments(letter(spec=None, overrides={"overrides": job}), {}, DEV)
    assert (given["job"], given["job_name_prefix"]) == (job, "report")
    deployed = arguments(letter(backend="cloud_run", job="report", spec=None), {}, DEV)
    assert deployed["job_name"] == "report"
    with pytest.raises(LetterRefused, match="as Batch has it"):
        arguments(letter(spec=None, overrides={"overrides": job}), {"memory": "8Gi"}, DEV)


@pytest.mark.airflow
def test_a_job_that_spent_its_budget_is_replayed_from_its_letter_and_names_it(
    emulator: Any, run_operator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GCP_JOBS_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    ledger.cache_clear()
    here = ledger()
    assert here
    here.patience_s = 60
    spec = {
        "name": "spent", "image": "repo/sample-job:1", "memory": "512Mi", "env": {"CLOUD_RUN_EXECUTION": "batch"},
        "exit_codes": {9: {"means": "the connection broke", "class": "network"}},
        "policy": {"network": {"budget": 1, "first_delay": "1s", "longest_delay": "1s"}},
    }  # fmt: skip
    failed = run_operator(BatchJobOperator, "spent", spec=spec, args=["exit", "9"], deferrable=False)
    assert failed.state == "failed"
    (found,) = Choice(dag_id="spent", failure_class="network").of_letters(here.read(queries.dead_letters()))
    again = arguments(found, {"args": ["ok"]}, settings())
    ran = run_operator(BatchReplayOperator, "replays", **again, deferrable=False)
    assert ran.state == "success", ran.log
    (listed,) = here.read(queries.dead_letters())
    (replay,) = here.read(queries.newest(dag_id="replays"))
    assert (listed["replayed_by"], replay["replay_of"]) == (replay["entry"], found["entry"])
    assert replay["spec"] == found["spec"]
    ledger.cache_clear()


def test_poison_messages_are_looked_at_and_stay_where_they_are(emulator: Any, until: Any) -> None:
    access = Access()
    publisher, subscriber = clients.client("Publisher", access), clients.client("Subscriber", access)
    topic, name = "projects/local-project/topics/letters", "projects/local-project/subscriptions/letters"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(types.Subscription(name=name, topic=topic))
    publisher.publish(
        topic=topic, messages=[types.PubsubMessage(data=b"\xff", attributes={"gcp_jobs_reason": "no JSON"})]
    )
    found = until(lambda: poison.messages(name, access))[0]
    assert (found["bytes"], found["reason"]) == ("1", "no JSON")
    assert len(until(lambda: poison.messages(name, access))) == 1
