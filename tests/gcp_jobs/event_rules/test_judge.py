"""What an event becomes: the mapping is exact for any payload, and what does not fit is poison with a reason."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.judge import HOUR_S, Judge, Poison
from gcp_jobs.event_rules.model import Rule
from gcp_jobs.event_rules.start import Start
from gcp_jobs.event_rules.values import LONGEST, Misfit, find

SUBSCRIPTION = "projects/p/subscriptions/s"
ORDERS: dict[str, Any] = {
    "name": "orders",
    "source": {"attributes": {"kind": "order.*"}},
    "template": "job.yaml",
}
UPLOADS: dict[str, Any] = {
    "name": "uploads", "source": {"bucket": "inbox", "prefix": "in/", "glob": "*.csv"}, "template": "job.yaml",
    "env": {"INPUT": "gs://{object.bucket}/{object.name}", "SIZE": {"from": "object.size", "default": "0"}},
}  # fmt: skip


def message(body: Any = "", **attributes: str) -> Event:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Event(SUBSCRIPTION, "1", {"kind": "order.new", **attributes}, data, "2026-11-02T02:00:00Z")


def upload(
    name: str = "in/a.csv", generation: str = "7", what: str = "OBJECT_FINALIZE", **body: Any
) -> Event:
    told = {"eventType": what, "bucketId": "inbox", "objectId": name, "objectGeneration": generation}
    return Event(SUBSCRIPTION, f"{name}{generation}", told, json.dumps(body).encode() if body else b"")


def judge(*rules: dict[str, Any], clock: Any = lambda: 0.0) -> Judge:
    return Judge([Rule.model_validate(rule) for rule in rules], clock)


def test_a_message_becomes_what_its_rule_says() -> None:
    rule = {
        **ORDERS, "args": ["--id", "{body.order.id}", {"from": "body.lines.1.sku", "pattern": "[A-Z]+"}],
        "env": {"WHO": "{attributes.who} at {message.publish_time}", "BRACES": "{{x}}", "FLAG": "{body.flag}"},
        "params": {"memory": "{attributes.memory}"}, "publisher": "attributes.who",
    }  # fmt: skip
    event = message({"order": {"id": 5}, "lines": [{}, {"sku": "AB"}], "flag": True}, who="me", memory="1Gi")
    found = judge(rule).start(event)
    assert found.args == ("--id", "5", "AB")
    assert found.env == {"WHO": "me at 2026-11-02T02:00:00Z", "BRACES": "{x}", "FLAG": "true"}
    assert found.params == {"memory": "1Gi"}
    assert (found.identity, found.by) == (f"{SUBSCRIPTION}#1", "event rule orders, published by me")
    assert Start.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_an_object_is_known_by_its_attributes_alone_and_by_its_resource_where_that_comes_too() -> None:
    bare, full = (
        judge(UPLOADS).start(upload()),
        judge(UPLOADS).start(upload(size="12", metadata={"a.b": "c"})),
    )
    assert bare.env == {"INPUT": "gs://inbox/in/a.csv", "SIZE": "0"}
    assert full.env["SIZE"] == "12"
    assert bare.identity == full.identity == "OBJECT_FINALIZE gs://inbox/in/a.csv#7"
    assert find(upload(metadata={"a.b": "c"}), "object.metadata.a.b") == "c"


def test_a_rule_that_wants_no_json_takes_any_bytes() -> None:
    assert judge(ORDERS).start(message(b"\xff\x00")).rule == "orders"


@pytest.mark.parametrize(
    ("rule", "event", "said"),
    [
        ({"env": {"A": "{body.a}"}}, message(b"{"), "the message is no JSON"),
        ({"env": {"A": "{body.a}"}}, message(b"[" * 100_000), "the message is no JSON"),
        ({"env": {"A": "{body.a}"}}, message({"b": 1}), "body.a is missing"),
        ({"env": {"A": "{body.a}"}}, message({"a": None}), "body.a is missing"),
        ({"env": {"A": "{body.a}"}}, message({"a": {"b": 1}}), "body.a is a JSON object, not one value"),
        ({"env": {"A": "{body.a}"}}, message({"a": "x\x00"}), "body.a holds a NUL character"),
        ({"env": {"A": "{message.data}"}}, message(b"\xff"), "the message is no UTF-8 text"),
        ({"env": {"A": {"from": "body.a", "pattern": "[0-9]+"}}}, message({"a": "1; rm"}), "does not match"),
        ({"env": {"A": {"from": "body.a", "max_length": 3}}}, message({"a": "1234"}), "longer than 3"),
        ({"params": {"memory": "{body.a}"}}, message({"a": "lots"}), "param memory: memory is written like"),
        ({"params": {"task_count": "{body.a}"}}, message({"a": -1}), "param task_count: "),
        ({}, message(**{"gcp-jobs-depth": "4"}), "4 jobs have started each other in a row, 3 are allowed"),
        ({}, message(**{"gcp-jobs-depth": "x"}), "gcp-jobs-depth is 'x', no number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_poison_and_says_why(rule: dict[str, Any], event: Event, said: str) -> None:
    with pytest.raises(Poison) as caught:
        judge({**ORDERS, **rule}).start(event)
    assert said in caught.value.reason
    assert caught.value.rule == "orders"


def test_an_event_that_no_rule_wants_is_poison() -> None:
    for event in (
        message(kind="invoice"),
        upload("out/a.csv"),
        upload("in/a.txt"),
        upload(what="OBJECT_DELETE"),
    ):
        with pytest.raises(Poison, match="no rule wants it"):
            judge(ORDERS, UPLOADS).start(event)


def test_an_event_that_two_rules_want_names_both_and_starts_neither() -> None:
    other = {**UPLOADS, "name": "others", "source": {"bucket": "inbox", "glob": "in/a*"}}
    with pytest.raises(Poison, match="rules uploads, others all want it"):
        judge(UPLOADS, other).start(upload())


def test_a_rule_may_say_what_makes_two_messages_one() -> None:
    by_order = judge({**ORDERS, "identity": ["body.id"]})
    assert by_order.start(message({"id": 1})).identity == by_order.start(message({"id": 1, "x": 2})).identity
    assert by_order.start(message({"id": 1})).identity != by_order.start(message({"id": 2})).identity


def test_a_job_that_writes_the_object_that_starts_it_is_stopped_and_may_start_again_later() -> None:
    now = [0.0]
    guarded = judge({**UPLOADS, "guard": {"same_object_per_hour": 2}}, clock=lambda: now[0])
    for generation in ("1", "2", "2", "1"):  # the same told of again does not count
        guarded.start(upload(generation=generation))
    with pytest.raises(Poison, match="was written 3 times within the hour"):
        guarded.start(upload(generation="3"))
    now[0] += HOUR_S + 1
    assert guarded.start(upload(generation="3"))
    assert guarded.start(upload("in/other.csv"))


def test_so_is_one_that_fills_the_folder_that_starts_it_with_ever_new_names() -> None:
    guarded = judge({**UPLOADS, "guard": {"per_folder_per_hour": 3}})
    for name in "abc":
        guarded.start(upload(f"in/{name}.csv"))
    with pytest.raises(Poison, match="more than 3 objects of gs://inbox/in/"):
        guarded.start(upload("in/d.csv"))
    assert guarded.start(upload("in/deep/d.csv"))


def test_an_object_carries_the_depth_in_its_metadata() -> None:
    found = judge(UPLOADS).start(upload(metadata={"gcp-jobs-depth": "2"}))
    assert found.environment["GCP_JOBS_EVENT_DEPTH"] == "3"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=3).map(".".join)


@given(JSON, PATHS)
def test_any_payload_gives_its_value_as_text_or_a_reason(body: Any, path: str) -> None:
    """Nothing of a payload is lost, made up or interpreted on its way into a job."""
    event = message(body)
    wanted, known = body, True
    for step in path.split("."):
        if isinstance(wanted, dict) and step in wanted:
            wanted = wanted[step]
        elif isinstance(wanted, list) and step.isdecimal() and int(step) < len(wanted):
            wanted = wanted[int(step)]
        else:
            known = False
    rule = judge({**ORDERS, "env": {"A": f"<{{body.{path}}}>"}})
    if not known or wanted is None or isinstance(wanted, dict | list) or "\x00" in str(wanted):
        with pytest.raises(Poison, match=re.escape(path)):
            rule.start(event)
        return
    said = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
    if len(said) > LONGEST - 2:
        return
    assert rule.start(event).env["A"] == f"<{said}>"


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200))
def test_what_looks_like_a_template_is_text_like_any_other(text: str) -> None:
    for given_text in (text, "{{ 7 * 7 }}", "{body.b}", "$(id)"):
        found = judge({**ORDERS, "args": ["{body.a}"]}).start(message({"a": given_text, "b": "no"}))
        assert found.args == (given_text,)


def test_a_missing_root_is_a_misfit_not_a_crash() -> None:
    with pytest.raises(Misfit, match="the event has no object"):
        find(message(), "object.name")
