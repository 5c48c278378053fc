"""Batch can tell another Pub/Sub of its jobs: nothing is lost on the way, and order stays."""

import asyncio
import uuid

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient

from gcp_emulator.pubsub.elsewhere import Elsewhere
from gcp_emulator.pubsub.message import Outgoing

COUNT = 1_200  # more than one request may hold


def test_all_that_is_published_arrives_in_order_and_a_missing_topic_stops_nobody(ready):
    channel = grpc.insecure_channel(ready["grpc"])
    publisher = PublisherClient(transport=PublisherClient.get_transport_class("grpc")(channel=channel))
    subscriber = SubscriberClient(transport=SubscriberClient.get_transport_class("grpc")(channel=channel))
    project = f"projects/test-{uuid.uuid4().hex[:10]}"
    topic = publisher.create_topic(name=f"{project}/topics/states").name
    subscription = subscriber.create_subscription(name=f"{project}/subscriptions/mine", topic=topic).name

    async def publish():
        elsewhere = Elsewhere(ready["grpc"])
        elsewhere.publish(f"{project}/topics/none", [Outgoing(b"lost")], caller="job@p.iam")
        for number in range(COUNT):
            message = Outgoing(str(number).encode(), {"kind": "count"})
            elsewhere.publish(topic, [message], caller="job@p.iam")
        await elsewhere.close()

    asyncio.run(publish())
    found = []
    while len(found) < COUNT:
        found += subscriber.pull(subscription=subscription, max_messages=COUNT, timeout=10).received_messages
    assert [int(one.message.data) for one in found] == list(range(COUNT))
    assert found[0].message.attributes == {"kind": "count"}
    channel.close()
