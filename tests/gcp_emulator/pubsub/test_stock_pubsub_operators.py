"""The Google provider's own Pub/Sub operators, sensor and trigger, unmodified, in DAG runs against the emulator."""

import base64

import pytest

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # Airflow's .airflowignore
    pytest.mark.filterwarnings("ignore:The return_immediately flag is deprecated"),
]


@pytest.fixture
def stock(run, cloud, monkeypatch):
    """Run operators one after the other; `PUBSUB_EMULATOR_HOST` is all that they are told."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", cloud.ready["grpc"])

    def make(operator):
        return lambda region, **given: operator(**given)

    return lambda *operators: run(*((make(operator), given) for operator, given in operators))


def test_stock_operators_create_publish_wait_pull_and_delete(stock):
    from airflow.providers.google.cloud.operators.pubsub import (
        PubSubCreateSubscriptionOperator,
        PubSubCreateTopicOperator,
        PubSubDeleteSubscriptionOperator,
        PubSubDeleteTopicOperator,
        PubSubPublishMessageOperator,
        PubSubPullOperator,
    )
    from airflow.providers.google.cloud.sensors.pubsub import PubSubPullSensor

    messages = [{"data": b"done", "attributes": {"kind": "job"}}, {"data": b"noise"}]
    publish = {"topic": "events", "messages": messages}
    mine = {"subscription": "mine"}
    wait = {"ack_messages": True, "poke_interval": 0.1, "return_immediately": False, **mine}
    ends = stock(
        (PubSubCreateTopicOperator, {"task_id": "topic", "topic": "events", "fail_if_exists": True}),
        (PubSubCreateTopicOperator, {"task_id": "again", "topic": "events"}),
        (
            PubSubCreateSubscriptionOperator,
            {"task_id": "sub", "topic": "events", "filter_": "attributes:kind", **mine},
        ),
        (PubSubPublishMessageOperator, {"task_id": "publish", **publish}),
        (PubSubPullSensor, {"task_id": "wait", "deferrable": False, **wait}),
        (PubSubPublishMessageOperator, {"task_id": "publish_again", **publish}),
        (PubSubPullSensor, {"task_id": "defer", "deferrable": True, **wait}),
        (PubSubPullOperator, {"task_id": "pull", "return_immediately": True, "deferrable": False, **mine}),
        (PubSubDeleteSubscriptionOperator, {"task_id": "unsubscribe", "fail_if_not_exists": True, **mine}),
        (PubSubDeleteTopicOperator, {"task_id": "delete", "topic": "events", "fail_if_not_exists": True}),
    )
    assert {task: state for task, (state, _) in ends.items()} == dict.fromkeys(ends, "success")
    for task in ("wait", "defer"):
        (received,) = ends[task][1]
        assert base64.b64decode(received["message"]["data"]) == b"done"
    assert not ends["pull"][1]
