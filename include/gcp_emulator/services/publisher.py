"""google.pubsub.v1.Publisher"""

from typing import Any

from google.protobuf import empty_pb2

from gcp_emulator.calls import Call
from gcp_emulator.messages import message_class
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.names import check_project
from gcp_emulator.pubsub.paging import page
from gcp_emulator.pubsub.resources import PUBSUB
from gcp_emulator.pubsub.wire import outgoing


class Publisher:
    """Topics and what is published to them."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def CreateTopic(self, request: Any, call: Call) -> Any:
        return self._pubsub.topics.create(request).resource

    async def GetTopic(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.get", request.topic)
        return self._pubsub.topics.find(request.topic).resource

    async def ListTopics(self, request: Any, call: Call) -> Any:
        topics = self._pubsub.topics
        names, token = page(topics.names(check_project(request.project)), request, "topics", request.project)
        found = [topics.find(name).resource for name in names]
        return message_class(f"{PUBSUB}.ListTopicsResponse")(topics=found, next_page_token=token)

    async def UpdateTopic(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.update", request.topic.name)
        return self._pubsub.topics.update(request.topic, request.update_mask).resource

    async def DeleteTopic(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.delete", request.topic)
        self._pubsub.delete_topic(request.topic)
        return empty_pb2.Empty()

    async def ListTopicSubscriptions(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.get", request.topic)
        topic = self._pubsub.topics.find(request.topic)
        names, token = page(sorted(topic.subscriptions), request, "topic subscriptions", request.topic)
        response = message_class(f"{PUBSUB}.ListTopicSubscriptionsResponse")
        return response(subscriptions=names, next_page_token=token)

    async def ListTopicSnapshots(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.get", request.topic)
        topic = self._pubsub.topics.find(request.topic)
        names, token = page(sorted(topic.snapshots), request, "topic snapshots", request.topic)
        return message_class(f"{PUBSUB}.ListTopicSnapshotsResponse")(snapshots=names, next_page_token=token)

    async def DetachSubscription(self, request: Any, call: Call) -> Any:
        topic = self._pubsub.subscriptions.find(request.subscription).resource.topic
        self._pubsub.rights.need(call.caller, "pubsub.topics.detachSubscription", topic)
        self._pubsub.subscriptions.detach(request.subscription)
        return message_class(f"{PUBSUB}.DetachSubscriptionResponse")()

    async def Publish(self, request: Any, call: Call) -> Any:
        messages = [outgoing(given) for given in request.messages]
        ids = self._pubsub.publish(request.topic, messages, request.ByteSize(), caller=call.caller)
        return message_class(f"{PUBSUB}.PublishResponse")(message_ids=ids)
