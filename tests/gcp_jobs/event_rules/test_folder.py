"""Rules are read before an event comes: whatever cannot be meant is refused with file, field and fix."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gcp_jobs.errors import RuleError
from gcp_jobs.event_rules.folder import read, rules
from gcp_jobs.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
MESSAGES: dict[str, Any] = {"name": "orders", "source": {"subscription": "orders"}, "template": "job.yaml"}
OBJECTS: dict[str, Any] = {
    "name": "uploads", "source": {"bucket": "inbox", "prefix": "in/"}, "template": "job.yaml",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job.yaml").write_text("base: {name: job, image: busybox}\n")
    (tmp_path / "mounts.yaml").write_text(
        "base: {name: job, image: busybox, volumes: [{name: inbox, path: /data, gcs: inbox}]}\n"
    )
    (tmp_path / "asks.yaml").write_text("base: {name: job, image: {{ params.image }}}\n")
    (tmp_path / "rules").mkdir()
    return tmp_path


def load(folder: Path, *wanted: dict[str, Any]) -> Any:
    for number, rule in enumerate(wanted):
        (folder / "rules" / f"rule{number}.yaml").write_text(yaml.safe_dump(rule))
    return rules(Settings(event_rule_folders=(folder / "rules",), template_folders=(folder,)))


def test_the_rules_of_this_repository_are_right_and_one_takes_messages_one_objects() -> None:
    found = rules(Settings())
    assert {bool(rule.source.bucket) for rule in found} == {True, False}


def test_a_rule_says_all_again_that_differs_from_the_defaults(folder: Path) -> None:
    (rule,) = load(
        folder, {**OBJECTS, "env": {"A": "{object.name}", "B": {"from": "body.a.0", "default": 1}}}
    )
    assert read(yaml.safe_dump(rule.compact()), "again") == rule


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sorce": {}}, r"sorce: unknown field; did you mean 'source'"),
        ({"source": {"subscripton": "a"}}, r"source\.subscripton: unknown field; did you mean 'subscription'"),
        ({"guard": {"dept": 1}}, r"guard\.dept: unknown field; did you mean 'depth'"),
        ({"env": {"A": {"fron": "body.a"}}}, r"env\.A\.fron: unknown field; did you mean 'from'"),
        ({"env": {"A": "{bdy.a}"}}, r"env\.A: 'bdy\.a' must begin with one of attributes, body"),
        ({"env": {"A": "{object.name}"}}, r"object\.name: a message has no object"),
        ({"env": {"A": "a}"}}, r"a brace that holds no path is written twice"),
        ({"env": {"A": {"from": "body.a", "pattern": "("}}}, r"env\.A.*no regular expression"),
        ({"env": {"A": {"from": "body.a", "pattern": "x", "default": "y"}}}, r"default 'y' does not match"),
        ({"env": {"GCP_JOBS_RUN_KEY": "x"}}, r"names that begin with GCP_JOBS_ are set by gcp_jobs"),
        ({"params": {"image": "x"}}, r"params image: on batch allowed are cpu, memory"),
        ({"backend": "cloud_run", "params": {"memory": "1Gi"}}, r"on cloud_run allowed are timeout"),
        ({"source": {}}, r"give a bucket, or a subscription"),
        ({"source": {"prefix": "a"}}, r"prefix belong to a bucket"),
        ({"template": "jop.yaml"}, r"no job template 'jop\.yaml'.*did you mean job\.yaml"),
        ({"template": "asks.yaml"}, r"template asks\.yaml cannot be rendered: 'params' is undefined"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_names_the_field_and_the_fix(
    folder: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(RuleError, match=said) as caught:
        load(folder, {**MESSAGES, **change})
    assert "rule0.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OBJECTS["source"], {"bucket": "inbox", "prefix": "in/deep/"}),
        ({"bucket": "inbox", "glob": "*.csv"}, {"bucket": "inbox", "glob": "*.csv"}),
        (MESSAGES["source"], {"subscription": "projects/local-project/subscriptions/orders"}),
        ({"attributes": {"kind": "a"}}, {"attributes": {"kind": "a", "size": "big"}}),
    ],
    ids=["a folder in a folder", "the same pattern", "the same subscription", "fewer conditions"],
)
def test_two_rules_for_one_event_are_refused_by_both_names(
    folder: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    with pytest.raises(RuleError, match="rules a and b both want the same events") as caught:
        load(folder, {**OBJECTS, "name": "a", "source": one}, {**OBJECTS, "name": "b", "source": other})
    assert "rule0.yaml" in str(caught.value)
    assert "rule1.yaml" in str(caught.value)


def test_rules_for_different_events_live_side_by_side(folder: Path) -> None:
    other = {**OBJECTS, "name": "deleted", "source": {**OBJECTS["source"], "event": "OBJECT_DELETE"}}
    csv = {**OBJECTS, "name": "csv", "source": {"bucket": "outbox", "glob": "*.csv"}}
    txt = {**OBJECTS, "name": "txt", "source": {"bucket": "outbox", "glob": "*.txt"}}
    assert len(load(folder, OBJECTS, other, MESSAGES, csv, txt)) == 5


def test_a_job_that_writes_where_it_starts_from_is_refused(folder: Path) -> None:
    with pytest.raises(RuleError, match=r"uploads writes to gs://inbox/in/, which starts uploads"):
        load(folder, {**OBJECTS, "output": "gs://inbox/in/"})


def test_so_is_one_whose_template_mounts_that_bucket(folder: Path) -> None:
    with pytest.raises(RuleError, match=r"uploads writes to gs://inbox"):
        load(folder, {**OBJECTS, "template": "mounts.yaml"})
    assert load(folder, {**OBJECTS, "template": "mounts.yaml", "output": "gs://inbox/out/"})


def test_and_jobs_that_start_each_other_in_a_circle(folder: Path) -> None:
    back = {**OBJECTS, "name": "back", "source": {"bucket": "outbox"}, "output": "gs://inbox/in/"}
    with pytest.raises(
        RuleError, match="which starts back; back writes to gs://inbox/in/, which starts uploads"
    ):
        load(folder, {**OBJECTS, "output": "gs://outbox/"}, back)


def test_a_name_belongs_to_one_rule(folder: Path) -> None:
    with pytest.raises(RuleError, match="two rules are called orders"):
        load(folder, MESSAGES, {**MESSAGES, "source": {"subscription": "others"}})


def test_a_doubled_key_is_refused() -> None:
    with pytest.raises(RuleError, match="the key 'name' is there twice"):
        read("name: a\nname: b\n", "rule.yaml")
