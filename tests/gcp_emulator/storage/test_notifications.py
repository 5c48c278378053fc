"""What a bucket tells Pub/Sub of its objects, through Google's clients on both sides."""

import json
import time
from datetime import datetime

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient


@pytest.fixture
def topic(cloud):
    """A topic and a function that takes the next `count` messages about it."""
    path = f"projects/{cloud.project}/topics/objects"
    cloud.client(PublisherClient).create_topic(name=path)
    subscriber = cloud.client(SubscriberClient)
    name = f"projects/{cloud.project}/subscriptions/mine"
    subscriber.create_subscription(name=name, topic=path)

    def take(count):
        found, end = [], time.monotonic() + 20
        while len(found) < count:
            assert time.monotonic() < end, found
            pulled = subscriber.pull(subscription=name, max_messages=100).received_messages
            if pulled:
                subscriber.acknowledge(subscription=name, ack_ids=[each.ack_id for each in pulled])
            found += [each.message for each in pulled]
        return sorted(found, key=lambda message: int(message.message_id))

    return take


def notification(bucket, cloud, **given):
    made = bucket.notification(topic_name="objects", topic_project=cloud.project, **given)
    made.create()
    return made


def test_every_event_of_an_object_is_told_as_google_tells_it(bucket, cloud, topic):
    made = notification(bucket, cloud, payload_format="JSON_API_V1", custom_attributes={"team": "a"})
    first = bucket.blob("in/a.json")
    first.upload_from_string("1", content_type="application/json")
    second = bucket.blob("in/a.json")
    second.upload_from_string("12")
    second.metadata = {"k": "v"}
    second.patch()
    second.delete()
    messages = topic(5)
    kinds = [message.attributes["eventType"].removeprefix("OBJECT_") for message in messages]
    assert kinds == ["FINALIZE", "DELETE", "FINALIZE", "METADATA_UPDATE", "DELETE"]
    told = dict(messages[0].attributes)
    assert datetime.fromisoformat(told.pop("eventTime").replace("Z", "+00:00")) == first.time_created
    assert told == {
        "notificationConfig": f"projects/_/buckets/{bucket.name}/notificationConfigs/{made.notification_id}",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": bucket.name,
        "objectId": "in/a.json",
        "objectGeneration": str(first.generation),
        "team": "a",
    }
    resource = json.loads(messages[0].data)
    assert (resource["name"], resource["size"], resource["md5Hash"]) == ("in/a.json", "1", first.md5_hash)
    assert messages[1].attributes["overwrittenByGeneration"] == str(second.generation)
    assert messages[2].attributes["overwroteGeneration"] == str(first.generation)
    assert json.loads(messages[3].data)["metadata"] == {"k": "v"}
    assert "overwrittenByGeneration" not in messages[4].attributes


def test_only_the_events_and_names_that_are_asked_for(bucket, cloud, topic):
    notification(bucket, cloud, payload_format="NONE", event_types=["OBJECT_DELETE"], blob_name_prefix="in/")
    for name in ("out/a", "in/a"):
        bucket.blob(name).upload_from_string("x")
        bucket.blob(name).delete()
    (message,) = topic(1)
    assert (message.attributes["objectId"], message.data) == ("in/a", b"")


def test_configurations_are_listed_and_deleted(bucket, cloud, topic):
    made = [notification(bucket, cloud), notification(bucket, cloud, event_types=["OBJECT_FINALIZE"])]
    assert [each.notification_id for each in bucket.list_notifications()] == ["1", "2"]
    made[0].delete()
    assert bucket.get_notification("2").event_types == ["OBJECT_FINALIZE"]
    with pytest.raises(exceptions.NotFound, match="notification does not exist"):
        bucket.get_notification("1")
    bucket.blob("a").upload_from_string("x")
    assert [message.attributes["notificationConfig"][-2:] for message in topic(1)] == ["/2"]


def test_a_topic_that_is_not_there_is_refused_and_one_that_is_gone_stops_nothing(bucket, cloud, topic):
    with pytest.raises(exceptions.NotFound):
        bucket.notification(topic_name="no-such-topic", topic_project=cloud.project).create()
    with pytest.raises(exceptions.BadRequest, match="Invalid event type"):
        notification(bucket, cloud, event_types=["OBJECT_MADE"])
    notification(bucket, cloud)
    cloud.client(PublisherClient).delete_topic(topic=f"projects/{cloud.project}/topics/objects")
    bucket.blob("a").upload_from_string("x")
    assert bucket.blob("a").exists()
