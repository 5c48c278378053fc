"""Streaming pull on our emulator, beyond what Google's own can show: flow control, speed, ends of streams."""

import itertools
import os
import signal
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient, StreamingPullRequest, StreamingPullResponse, SubscriberClient

from gcp_emulator import process

METHOD = "/google.pubsub.v1.Subscriber/StreamingPull"
PATIENCE_S = 10.0


class Pull:
    """A streaming pull without any library: what the wire says."""

    def __init__(
        self, channel: grpc.Channel, subscription: str, *, reading: bool = True, **first: Any
    ) -> None:
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.send(subscription=subscription, **{"stream_ack_deadline_seconds": 600, **first})
        self.call = channel.stream_stream(
            METHOD,
            request_serializer=StreamingPullRequest.pb().SerializeToString,
            response_deserializer=StreamingPullResponse.pb().FromString,
        )(iter(self._requests.get, None), timeout=60)
        self._thread = threading.Thread(target=self._read, daemon=True)
        if reading:
            self._thread.start()
            self.answers.get(timeout=PATIENCE_S)  # the first is empty: the stream is open

    def send(self, **request: Any) -> None:
        self._requests.put(StreamingPullRequest.pb()(**request))

    def _read(self) -> None:
        try:
            for answer in self.call:
                self.answers.put(answer)
        except grpc.RpcError as error:
            self.answers.put(error)

    def received(self) -> list[Any]:
        """The messages of the next answer."""
        answer = self.answers.get(timeout=PATIENCE_S)
        if isinstance(answer, grpc.RpcError):
            raise answer
        return list(answer.received_messages)

    def next(self, seconds: float = 0.2) -> list[Any] | None:
        """The messages of an answer within so many seconds."""
        try:
            return list(self.answers.get(timeout=seconds).received_messages)
        except Empty:
            return None

    def quiet(self, seconds: float = 0.2) -> bool:
        """Whether nothing more comes."""
        return self.next(seconds) is None

    def error(self) -> Any:
        answer = self.answers.get(timeout=PATIENCE_S)
        assert isinstance(answer, grpc.RpcError), answer
        return answer

    def close(self) -> None:
        self.call.cancel()
        self._requests.put(None)
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)


@pytest.fixture
def publisher(cloud):
    return cloud.client(PublisherClient)


@pytest.fixture
def subscriber(cloud):
    return cloud.client(SubscriberClient)


@pytest.fixture
def topic(cloud, publisher):
    return publisher.create_topic(name=f"projects/{cloud.project}/topics/events").name


@pytest.fixture
def subscribe(cloud, topic, subscriber):
    def make(name="mine", **fields):
        request = {"name": f"projects/{cloud.project}/subscriptions/{name}", "topic": topic, **fields}
        return subscriber.create_subscription(request=request).name

    return make


@pytest.fixture
def channel(cloud):
    with grpc.insecure_channel(cloud.ready["grpc"]) as made:
        yield made


@pytest.fixture
def pulls(channel):
    opened: list[Pull] = []

    def make(subscription, **first):
        opened.append(Pull(channel, subscription, **first))
        return opened[-1]

    yield make
    for pull in opened:
        pull.close()


@pytest.fixture
def publish(publisher, topic):
    def make(*texts, key="", **attributes):
        messages = [{"data": text.encode(), "ordering_key": key, "attributes": attributes} for text in texts]
        return list(publisher.publish(topic=topic, messages=messages).message_ids)

    return make


def texts(received):
    return [each.message.data.decode() for each in received]


def test_a_stream_is_given_no_more_messages_than_it_said(subscribe, pulls, publish, subscriber):
    mine = subscribe()
    stream = pulls(mine, max_outstanding_messages=2)
    publish(*"abcd")
    first = stream.received()
    assert texts(first) == ["a", "b"]
    assert stream.quiet()
    stream.send(ack_ids=[first[0].ack_id])
    assert texts(stream.received()) == ["c"]
    subscriber.acknowledge(subscription=mine, ack_ids=[first[1].ack_id])  # another way counts as well
    assert texts(stream.received()) == ["d"]


def test_a_stream_is_given_no_more_bytes_than_it_said(subscribe, pulls, publish):
    stream = pulls(subscribe(), max_outstanding_bytes=1500)
    publish(*["x" * 1000] * 4)
    first = stream.received()
    assert len(first) == 2  # it stops at or beyond the limit
    assert stream.quiet()
    stream.send(ack_ids=[each.ack_id for each in first])
    assert len(stream.received()) == 2


def test_every_answer_tells_the_subscriptions_properties(subscribe, pulls, publish):
    stream = pulls(subscribe(enable_message_ordering=True))
    publish("x")
    answer = stream.answers.get(timeout=PATIENCE_S)
    assert answer.subscription_properties.message_ordering_enabled
    assert not answer.subscription_properties.exactly_once_delivery_enabled


def test_several_streams_share_a_subscription(subscribe, pulls, publish):
    mine = subscribe()
    streams = [pulls(mine) for _ in range(3)]
    for n in range(30):
        publish(str(n))
    got = [[], [], []]
    deadline = time.monotonic() + PATIENCE_S
    while sum(map(len, got)) < 30 and time.monotonic() < deadline:
        for mine, stream in zip(got, streams, strict=True):
            while not stream.answers.empty():
                mine += texts(stream.received())
    assert sorted(map(int, itertools.chain(*got))) == list(range(30))
    assert min(map(len, got)) >= 5


def test_an_ordering_key_stays_with_one_stream(subscribe, pulls, publish):
    mine = subscribe(enable_message_ordering=True)
    first, second = pulls(mine), pulls(mine)
    publish("1", key="k")
    holder, other = (first, second) if not first.quiet(0.5) else (second, first)
    publish("2", "3", key="k")
    assert texts(holder.received()) in (["2", "3"], ["1"])
    assert other.quiet()


def test_the_library_repeats_all_later_messages_of_a_key_after_a_refusal(
    subscribe, publish, cloud, monkeypatch
):
    """https://cloud.google.com/pubsub/docs/ordering; Google's own emulator repeats the refused one alone."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", cloud.ready["grpc"])
    mine = subscribe(enable_message_ordering=True)
    publish("1", "2", "3", key="k")
    seen: list[str] = []
    done = threading.Event()

    def handle(message):
        seen.append(message.data.decode())
        if seen == ["1"]:
            message.nack()
        else:
            message.ack()
        if seen[-3:] == ["1", "2", "3"] and seen.count("1") == 2:
            done.set()

    client = pubsub_v1.SubscriberClient()
    future = client.subscribe(mine, callback=handle)
    assert done.wait(PATIENCE_S), seen
    future.cancel()
    future.result(PATIENCE_S)
    client.close()


def test_what_is_on_its_way_to_a_deaf_client_is_free_as_soon_as_it_has_gone(
    subscribe, pulls, publish, channel
):
    """A client that hangs holds what fits in its window; its connection's end frees what waits to be sent."""
    mine = subscribe()
    deaf = Pull(channel, mine, reading=False)
    for n in range(4):
        publish(str(n) + "x" * 2_000_000)
    stream = pulls(mine)
    early = []
    while (answer := stream.next(0.5)) is not None:
        early += texts(answer)
    deaf.close()
    late = texts(stream.received())
    assert 0 < len(late) <= 4 - len(early)
    assert not set(late) & set(early)


@pytest.mark.parametrize(
    ("end", "code"),
    [("delete", grpc.StatusCode.NOT_FOUND), ("detach", grpc.StatusCode.FAILED_PRECONDITION)],
)
def test_a_stream_ends_with_its_subscription(subscribe, pulls, subscriber, publisher, end, code):
    mine = subscribe()
    stream = pulls(mine)
    if end == "delete":
        subscriber.delete_subscription(subscription=mine)
    else:
        publisher.detach_subscription(request={"subscription": mine})
        with pytest.raises(exceptions.FailedPrecondition):
            subscriber.pull(subscription=mine, max_messages=1)
    assert stream.error().code() == code


def test_a_stream_ends_when_its_client_has_said_all(subscribe, pulls):
    stream = pulls(subscribe())
    stream._requests.put(None)
    stream._thread.join(PATIENCE_S)
    assert stream.call.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("later", [{"max_outstanding_messages": 5}, {"stream_ack_deadline_seconds": 5}])
def test_what_a_later_request_may_not_say(subscribe, pulls, later):
    stream = pulls(subscribe())
    stream.send(**later)
    assert stream.error().code() == grpc.StatusCode.INVALID_ARGUMENT


def test_twenty_thousand_messages_come_through_one_stream(subscribe, pulls, publisher, topic):
    """What one triggerer gets when twenty thousand jobs end together."""
    stream = pulls(subscribe())
    batch = [{"attributes": {"JobUID": f"job-{n}", "NewJobState": "SUCCEEDED"}} for n in range(1000)]
    for _ in range(20):
        publisher.publish(topic=topic, messages=batch)
    got = 0
    while got < 20_000:
        received = stream.received()
        got += len(received)
        stream.send(ack_ids=[each.ack_id for each in received])
    assert got == 20_000


def test_waiting_streams_hear_of_each_message_before_the_next_is_published(subscribe, pulls, publish):
    streams = [pulls(subscribe(f"sub{n}")) for n in range(3)]
    for n in range(30):
        publish(str(n))
        for stream in streams:
            assert texts(stream.received()) == [str(n)]


def test_an_idle_stream_may_keep_its_connection_alive(cloud, subscribe, publish):
    """gRPC's default is to hang up on a client that pings; a triggerer may wait for hours without a message."""
    often = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with grpc.insecure_channel(cloud.ready["grpc"], options=often) as channel:
        stream = Pull(channel, subscribe())
        assert stream.quiet(5)  # gRPC gives up at the third ping too many, a second apart each
        publish("x")
        assert texts(stream.received()) == ["x"]
        stream.close()


def test_a_stopping_emulator_ends_streams_so_that_clients_come_again(tmp_path):
    with process.start(state=tmp_path / "state") as ready, grpc.insecure_channel(ready["grpc"]) as channel:
        publisher, subscriber = (
            cls(transport=cls.get_transport_class("grpc")(channel=channel))
            for cls in (PublisherClient, SubscriberClient)
        )
        publisher.create_topic(name="projects/p/topics/events")
        mine = subscriber.create_subscription(
            request={
                "name": "projects/p/subscriptions/mine",
                "topic": "projects/p/topics/events",
                "filter": "attributes:a",
            }
        )
        stream = Pull(channel, mine.name)
        os.kill(ready["pid"], signal.SIGTERM)
        assert stream.error().code() == grpc.StatusCode.UNAVAILABLE
        stream.close()
    with process.start(state=tmp_path / "state") as ready, grpc.insecure_channel(ready["grpc"]) as channel:
        assert client(SubscriberClient, channel).get_subscription(subscription=mine.name) == mine


def client(cls, channel):
    return cls(transport=cls.get_transport_class("grpc")(channel=channel))
