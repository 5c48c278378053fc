"""google.pubsub.v1.Subscriber"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.protobuf import empty_pb2

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.messages import message_class
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.limits import MAX_ACK_REQUEST_BYTES
from gcp_emulator.pubsub.message import MICROSECONDS, Delivery
from gcp_emulator.pubsub.names import check_project
from gcp_emulator.pubsub.paging import page
from gcp_emulator.pubsub.refusals import too_large
from gcp_emulator.pubsub.resources import PUBSUB, check_push
from gcp_emulator.pubsub.roles import CONSUME
from gcp_emulator.pubsub.stream import open_stream
from gcp_emulator.pubsub.subscription import Subscription
from gcp_emulator.pubsub.wire import received

PULL_WAIT_S = 10.0  # for a first message; Google says "a bounded amount of time"


class Subscriber:
    """Subscriptions, their messages and snapshots."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def CreateSubscription(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.topics.attachSubscription", request.topic)
        return self._shown(self._pubsub.subscriptions.create(request))

    async def GetSubscription(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.subscriptions.get", request.subscription)
        return self._shown(self._pubsub.subscriptions.find(request.subscription))

    async def ListSubscriptions(self, request: Any, call: Call) -> Any:
        known, project = self._pubsub.subscriptions, check_project(request.project)
        names, token = page(known.names(project), request, "subscriptions", project)
        found = [self._shown(known.peek(name)) for name in names]
        return message_class(f"{PUBSUB}.ListSubscriptionsResponse")(
            subscriptions=found, next_page_token=token
        )

    async def UpdateSubscription(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.subscriptions.update", request.subscription.name)
        return self._shown(self._pubsub.subscriptions.update(request.subscription, request.update_mask))

    async def DeleteSubscription(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.subscriptions.delete", request.subscription)
        known = self._pubsub.subscriptions
        known.remove(known.find(request.subscription))
        return empty_pb2.Empty()

    async def ModifyPushConfig(self, request: Any, call: Call) -> Any:
        """An empty configuration makes a subscription one to pull from, which every one is here."""
        self._pubsub.rights.need(call.caller, "pubsub.subscriptions.update", request.subscription)
        self._pubsub.subscriptions.find(request.subscription)
        check_push(request.push_config)
        return empty_pb2.Empty()

    async def Pull(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, CONSUME, request.subscription)
        subscription = self._pubsub.subscriptions.find(request.subscription)
        if request.max_messages <= 0:
            raise InvalidArgument(
                f"The value for max_messages is too small. You passed {request.max_messages} in the request, but "
                "the minimum value is 1."
            )
        wait = 0.0 if request.return_immediately else PULL_WAIT_S
        deliveries = await subscription.pull(request.max_messages, wait, call.caller)
        return message_class(f"{PUBSUB}.PullResponse")(received_messages=received(deliveries))

    async def StreamingPull(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        stream = await open_stream(self._pubsub, requests, call.caller)
        if stream is None:
            return
        async for deliveries in stream.deliveries(requests):
            yield _answer(stream.subscription, deliveries)

    async def Acknowledge(self, request: Any, call: Call) -> Any:
        self._sized(request, call).acknowledge(request.ack_ids)
        return empty_pb2.Empty()

    async def ModifyAckDeadline(self, request: Any, call: Call) -> Any:
        self._sized(request, call).modify(request.ack_ids, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    async def Seek(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, CONSUME, request.subscription)
        subscription = self._pubsub.subscriptions.find(request.subscription)
        target = request.WhichOneof("target")
        if target is None:
            raise InvalidArgument(
                "No target was specified in the SeekRequest. Must specify either a time or a snapshot"
            )
        if target == "time":
            since = request.time.seconds * MICROSECONDS + request.time.nanos // 1_000
            self._pubsub.seek_time(subscription, since)
        else:
            self._pubsub.rights.need(call.caller, "pubsub.snapshots.seek", request.snapshot)
            self._pubsub.seek_snapshot(subscription, request.snapshot)
        return message_class(f"{PUBSUB}.SeekResponse")()

    async def CreateSnapshot(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, CONSUME, request.subscription)
        subscription = self._pubsub.subscriptions.find(request.subscription)
        return self._pubsub.create_snapshot(request.name, subscription, request.labels).resource

    async def GetSnapshot(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.snapshots.get", request.snapshot)
        return self._pubsub.snapshot(request.snapshot).resource

    async def ListSnapshots(self, request: Any, call: Call) -> Any:
        names = self._pubsub.snapshot_names(check_project(request.project))
        shown, token = page(names, request, "snapshots", request.project)
        found = [self._pubsub.snapshot(name).resource for name in shown]
        return message_class(f"{PUBSUB}.ListSnapshotsResponse")(snapshots=found, next_page_token=token)

    async def UpdateSnapshot(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.snapshots.update", request.snapshot.name)
        return self._pubsub.update_snapshot(request.snapshot, request.update_mask).resource

    async def DeleteSnapshot(self, request: Any, call: Call) -> Any:
        self._pubsub.rights.need(call.caller, "pubsub.snapshots.delete", request.snapshot)
        self._pubsub.delete_snapshot(request.snapshot)
        return empty_pb2.Empty()

    def _sized(self, request: Any, call: Call) -> Subscription:
        self._pubsub.rights.need(call.caller, CONSUME, request.subscription)
        if request.ByteSize() > MAX_ACK_REQUEST_BYTES:
            raise too_large(MAX_ACK_REQUEST_BYTES)
        return self._pubsub.subscriptions.find(request.subscription)

    def _shown(self, subscription: Subscription) -> Any:
        """The resource with what its topic says of retention."""
        resource = subscription.resource
        topic = self._pubsub.topics.get(resource.topic)
        shown = type(resource)()
        shown.CopyFrom(resource)
        if topic is not None and topic.retention:
            shown.topic_message_retention_duration.CopyFrom(topic.resource.message_retention_duration)
        return shown


def _answer(subscription: Subscription, deliveries: Sequence[Delivery]) -> Any:
    answer = message_class(f"{PUBSUB}.StreamingPullResponse")(received_messages=received(deliveries))
    answer.subscription_properties.message_ordering_enabled = subscription.resource.enable_message_ordering
    return answer
