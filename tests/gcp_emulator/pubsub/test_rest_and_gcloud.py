"""Pub/Sub over REST: the generated REST clients, plain HTTP, and the gcloud CLI where it is installed."""

import base64

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SchemaServiceClient, SubscriberClient


@pytest.fixture
def names(cloud):
    return f"projects/{cloud.project}/topics/events", f"projects/{cloud.project}/subscriptions/mine"


def test_the_rest_clients_publish_pull_and_acknowledge(cloud, names):
    topic, mine = names
    publisher, subscriber = cloud.client(PublisherClient, "rest"), cloud.client(SubscriberClient, "rest")
    publisher.create_topic(request={"name": topic, "labels": {"a": "b"}})
    subscriber.create_subscription(request={"name": mine, "topic": topic, "filter": "attributes:n"})
    publisher.publish(
        topic=topic, messages=[{"data": b"\x00\xff", "attributes": {"n": "1"}}, {"data": b"no"}]
    )
    (received,) = subscriber.pull(subscription=mine, max_messages=10).received_messages
    assert received.message.data == b"\x00\xff"
    subscriber.modify_ack_deadline(subscription=mine, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    (again,) = subscriber.pull(subscription=mine, max_messages=10).received_messages
    subscriber.acknowledge(subscription=mine, ack_ids=[again.ack_id])
    mask = {"paths": ["labels", "ack_deadline_seconds"]}
    given = {"name": mine, "labels": {"c": "d"}, "ack_deadline_seconds": 50}
    changed = subscriber.update_subscription(request={"subscription": given, "update_mask": mask})
    assert (dict(changed.labels), changed.ack_deadline_seconds) == ({"c": "d"}, 50)
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [mine]
    publisher.detach_subscription(request={"subscription": mine})
    with pytest.raises(exceptions.BadRequest, match="Subscription is detached"):
        subscriber.pull(subscription=mine, max_messages=1)
    subscriber.delete_subscription(subscription=mine)
    publisher.delete_topic(topic=topic)
    with pytest.raises(exceptions.NotFound, match="Resource not found"):
        publisher.get_topic(topic=topic)


def test_json_over_http_has_googles_shape(cloud, names):
    topic, mine = names
    with cloud.http() as http:
        assert http.put(f"/v1/{topic}", json={}).json() == {"name": topic, "state": "ACTIVE"}
        assert http.put(f"/v1/{topic}", json={}).status_code == 409
        made = http.put(f"/v1/{mine}", json={"topic": topic, "ackDeadlineSeconds": 30}).json()
        assert made["messageRetentionDuration"] == "604800s"
        data = base64.b64encode(b"hello").decode()
        body = {"messages": [{"data": data, "attributes": {"k": "v"}, "orderingKey": "o"}]}
        (message_id,) = http.post(f"/v1/{topic}:publish", json=body).json()["messageIds"]
        (received,) = http.post(f"/v1/{mine}:pull", json={"maxMessages": 1}).json()["receivedMessages"]
        message = received["message"]
        assert message.pop("publishTime").endswith("Z")
        assert message == {
            "data": data,
            "attributes": {"k": "v"},
            "orderingKey": "o",
            "messageId": message_id,
        }
        acknowledged = http.post(f"/v1/{mine}:acknowledge", json={"ackIds": [received["ackId"]]})
        assert (acknowledged.status_code, acknowledged.json()) == (200, {})
        error = http.post(f"/v1/{mine}:pull", json={}).json()["error"]
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")


def test_every_call_is_counted_by_method_and_caller(cloud, names):
    publisher = cloud.client(PublisherClient, identity="job@p.iam")
    publisher.create_topic(name=names[0])
    publisher.publish(topic=names[0], messages=[{"data": b"x"}] * 3)
    with cloud.http() as http:
        calls = http.get("/emulator/calls").json()["calls"]
    counts = {call["method"]: call["count"] for call in calls if call["caller"] == "job@p.iam"}
    assert counts["google.pubsub.v1.Publisher/Publish"] >= 1


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_schemas_are_refused_by_name(cloud, transport):
    """A schema that nobody enforces would let wrong messages through in silence."""
    schemas = cloud.client(SchemaServiceClient, transport)
    with pytest.raises(exceptions.MethodNotImplemented, match="Schemas of Pub/Sub"):
        schemas.create_schema(parent=f"projects/{cloud.project}", schema={"type_": 1}, schema_id="mine")
    with pytest.raises(exceptions.MethodNotImplemented, match="publish without a schema"):
        schemas.list_schemas(parent=f"projects/{cloud.project}")


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_push_is_refused_by_name(cloud, names, transport):
    topic, mine = names
    cloud.client(PublisherClient).create_topic(name=topic)
    subscriber = cloud.client(SubscriberClient, transport)
    push = {"push_endpoint": "https://example.com/push"}
    with pytest.raises(exceptions.MethodNotImplemented, match="push subscriptions"):
        subscriber.create_subscription(request={"name": mine, "topic": topic, "push_config": push})
    subscriber.create_subscription(request={"name": mine, "topic": topic})
    with pytest.raises(exceptions.MethodNotImplemented, match="push subscriptions"):
        subscriber.modify_push_config(subscription=mine, push_config=push)
    subscriber.modify_push_config(subscription=mine, push_config={})


def test_the_gcloud_cli_works_unchanged(gcloud, names):
    gcloud("pubsub", "topics", "create", "events")
    (made,) = gcloud("pubsub", "subscriptions", "create", "mine", "--topic=events", "--message-filter=attributes:kind",
                  "--expiration-period=1d", "--message-retention-duration=10m")  # fmt: skip
    assert (made["filter"], made["expirationPolicy"]) == ("attributes:kind", {"ttl": "86400s"})
    gcloud("pubsub", "topics", "publish", "events", "--message=hello", "--attribute=kind=job")
    (received,) = gcloud("pubsub", "subscriptions", "pull", "mine", "--auto-ack", "--limit=5")
    assert base64.b64decode(received["message"]["data"]) == b"hello"
    assert [found["topic"] for found in gcloud("pubsub", "subscriptions", "list")] == [names[0]]
