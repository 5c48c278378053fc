"""Topics, subscriptions, snapshots: what is kept, changed, refused and forwarded."""

from datetime import UTC, datetime

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from gcp_emulator.errors import AlreadyExists, ApiError, FailedPrecondition, InvalidArgument, NotFound
from gcp_emulator.pubsub.limits import DAY
from gcp_emulator.pubsub.message import MICROSECONDS, Outgoing
from gcp_emulator.pubsub.refusals import OutOfRange, Unimplemented
from gcp_emulator.pubsub.resources import Snapshot, Topic


@pytest.mark.parametrize(
    "name",
    ["projects/p/topics/ab", "projects/p/topics/1abc", "projects/p/topics/googles", "projects/p/topics/a b", "abc",
     "projects/p/subscriptions/abc", "projects/p/topics/" + "a" * 256, "projects/p/topics/_deleted-topic_",
     "projects/p/topics/übung"],
)  # fmt: skip
def test_a_name_that_google_refuses_is_refused(world, name):
    for ask in (world.pubsub.topics.find, lambda name: world.pubsub.topics.create(Topic(name=name))):
        with pytest.raises(InvalidArgument, match=r"Invalid resource name given \(\w+="):
            ask(name)


def test_a_name_may_have_what_google_allows(world):
    assert world.topic("Abc.d_e~f+g%25-9").name.endswith("Abc.d_e~f+g%25-9")


def test_names_are_taken_once_and_missing_ones_are_named(world):
    world.subscribe()
    with pytest.raises(AlreadyExists, match=r"Resource already exists in the project \(resource=events\)\."):
        world.topic()
    with pytest.raises(AlreadyExists, match="resource=mine"):
        world.subscribe()
    with pytest.raises(NotFound, match=r"Resource not found \(resource=nowhere\)\."):
        world.publish("x", topic="nowhere")
    with pytest.raises(NotFound, match="resource=nowhere"):
        world.subscribe("other", topic="nowhere")
    with pytest.raises(NotFound, match="resource=letters"):
        world.subscribe("other", dead_letter_policy={"dead_letter_topic": "projects/p/topics/letters"})


@pytest.mark.parametrize(
    ("messages", "size", "says"),
    [
        ([], 0, "message_count is too small"),
        ([Outgoing(b"x")] * 1001, 0, "message_count is too large"),
        ([Outgoing(b"x"), Outgoing()], 0, "is empty"),
        ([Outgoing(ordering_key="k")], 0, "is empty"),
        ([Outgoing(b"x")], 10_485_761, "payload size exceeds the limit: 10485760 bytes"),
        ([Outgoing(b"x" * 10_485_761)], 0, "payload size exceeds the limit: 10485760 bytes"),
        ([Outgoing(b"x", {str(n): "" for n in range(101)})], 0, "at most 100"),
        ([Outgoing(b"x", {"k" * 257: ""})], 0, "1 to 256 bytes"),
        ([Outgoing(b"x", {"googkey": ""})], 0, "not begin with 'goog'"),
        ([Outgoing(b"x", {"": ""})], 0, "1 to 256 bytes"),
        ([Outgoing(b"x", {"k": "é" * 513})], 0, "at most 1024"),
        ([Outgoing(b"x", {}, "k" * 1025)], 0, "ordering key may not be longer than 1024"),
    ],
)
def test_a_publish_that_breaks_a_rule_publishes_nothing(world, messages, size, says):
    mine = world.subscribe()
    with pytest.raises(InvalidArgument, match=says):
        world.pubsub.publish("projects/p/topics/events", messages, size)
    assert world.texts(mine) == []


def test_attributes_alone_are_a_message_and_ids_count_up(world):
    mine = world.subscribe()
    ids = world.pubsub.publish("projects/p/topics/events", [Outgoing(attributes={"a": "b"}), Outgoing(b"x")])
    assert [delivery.message.id for delivery in world.take(mine)] == ids
    assert ids == sorted(ids)


def test_each_subscription_gets_what_its_filter_lets_through_since_it_exists(world):
    world.publish("before")
    everything, some = (
        world.subscribe("everything"),
        world.subscribe("some", filter='attributes.kind = "job"'),
    )
    world.publish("job", kind="job")
    world.publish("task", kind="task")
    assert world.texts(everything) == ["job", "task"]
    assert world.texts(some) == ["job"]


def test_defaults_are_filled_in_as_google_does(world):
    resource = world.subscribe(
        retry_policy={}, dead_letter_policy={"dead_letter_topic": "projects/p/topics/events"}
    ).resource
    assert resource.ack_deadline_seconds == 10
    assert resource.message_retention_duration.seconds == 7 * DAY
    assert resource.expiration_policy.ttl.seconds == 31 * DAY
    assert resource.HasField("push_config")
    assert (resource.retry_policy.minimum_backoff.seconds, resource.retry_policy.maximum_backoff.seconds) == (
        10,
        600,
    )
    assert resource.dead_letter_policy.max_delivery_attempts == 5
    assert resource.state == 1


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"ack_deadline_seconds": 9}, InvalidArgument, "ack_deadline_seconds is out of bounds"),
        ({"ack_deadline_seconds": 601}, InvalidArgument, "between 10 and 600"),
        ({"message_retention_duration": {"seconds": 599}}, InvalidArgument, "between 600s and 2678400s"),
        ({"expiration_policy": {"ttl": {"seconds": DAY - 1}}}, InvalidArgument, "minimum value is 86400s"),
        ({"dead_letter_policy": {}}, InvalidArgument, r"Invalid resource name given \(dead_letter_topic=\)"),
        ({"dead_letter_policy": {"dead_letter_topic": "projects/p/topics/events", "max_delivery_attempts": 4}},
         OutOfRange, "minimum value is 5"),
        ({"dead_letter_policy": {"dead_letter_topic": "projects/p/topics/events", "max_delivery_attempts": 101}},
         OutOfRange, "maximum value is 100"),
        ({"retry_policy": {"minimum_backoff": {"seconds": 601}}}, InvalidArgument, "between 0s and 600s"),
        ({"retry_policy": {"minimum_backoff": {"seconds": 30}, "maximum_backoff": {"seconds": 20}}},
         InvalidArgument, "maximum_backoff is too small"),
        ({"filter": "attributes:a attributes:b"}, InvalidArgument, "Invalid filter"),
        ({"labels": {"Upper": "x"}}, InvalidArgument, "Label 'Upper=x'"),
        ({"labels": {"1a": "x"}}, InvalidArgument, "begin with a letter"),
        ({"labels": {f"k{n}": "" for n in range(65)}}, InvalidArgument, "at most 64"),
        ({"push_config": {"push_endpoint": "https://x.example/push"}}, Unimplemented, "push subscriptions"),
        ({"bigquery_config": {"table": "p.d.t"}}, Unimplemented, "bigquery_config"),
        ({"cloud_storage_config": {"bucket": "b"}}, Unimplemented, "cloud_storage_config"),
        ({"bigtable_config": {"table": "t"}}, Unimplemented, "bigtable_config"),
        ({"enable_exactly_once_delivery": True}, Unimplemented, "enable_exactly_once_delivery"),
        ({"message_transforms": [{}]}, Unimplemented, "message_transforms"),
    ],
)  # fmt: skip
def test_a_subscription_that_google_or_we_cannot_serve_is_refused_by_name(world, fields, error, says):
    with pytest.raises(error, match=says):
        world.subscribe(**fields)
    assert world.pubsub.subscriptions.names("projects/p") == []


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"message_retention_duration": {"seconds": 1}}, InvalidArgument, "duration is out of bounds"),
        ({"schema_settings": {"schema": "projects/p/schemas/s"}}, Unimplemented, "schema_settings"),
        ({"ingestion_data_source_settings": {"aws_kinesis": {}}}, Unimplemented, "ingestion_data_source_settings"),
    ],
)  # fmt: skip
def test_a_topic_that_we_cannot_serve_is_refused_by_name(world, fields, error, says):
    with pytest.raises(error, match=says):
        world.topic("other", **fields)


def test_an_update_changes_what_its_mask_names_and_nothing_else(world):
    mine = world.subscribe(labels={"a": "b"}, ack_deadline_seconds=20)
    resource = world.update("mine", "labels", "retry_policy", labels={"c": "d"}, ack_deadline_seconds=500,
                            retry_policy={"minimum_backoff": {"seconds": 1}}).resource  # fmt: skip
    assert dict(resource.labels) == {"c": "d"}
    assert resource.ack_deadline_seconds == 20
    assert resource.retry_policy.maximum_backoff.seconds == 600
    world.publish("x")
    mine.modify([world.take(mine)[0].ack_id], 0)
    assert world.texts(mine) == []  # the new policy holds
    world.now += 1
    assert world.texts(mine) == ["x"]
    assert not world.update("mine", "retry_policy").resource.HasField("retry_policy")
    assert not world.update(
        "mine", "expiration_policy.ttl", expiration_policy={}
    ).resource.expiration_policy.HasField("ttl")
    assert world.update("mine", "expiration_policy").resource.expiration_policy.ttl.seconds == 31 * DAY


@pytest.mark.parametrize(
    ("path", "says"),
    [("name", "not mutable"), ("topic", "not mutable"), ("filter", "not mutable"),
     ("enable_message_ordering", "not mutable"), ("detached", "not mutable"), ("tags", "not mutable"),
     ("nonsense", "not a known"), ("ackDeadlineSeconds", "not a known"), ("retry_policy.nonsense", "not a known")],
)  # fmt: skip
def test_what_may_not_change_is_refused_by_name(world, path, says):
    """A filter is fixed for the life of a subscription."""
    world.subscribe(filter="attributes:a")
    with pytest.raises(InvalidArgument, match=f"{path} .*{says}|the {path} field .* {says}"):
        world.update("mine", path, filter="attributes:b")
    with pytest.raises(InvalidArgument, match="non-empty paths list"):
        world.update()


def test_a_topic_is_updated_and_tells_its_subscriptions_of_retention(world):
    given = Topic(
        name="projects/p/topics/events", labels={"a": "b"}, message_retention_duration={"seconds": 600}
    )
    topic = world.pubsub.topics.update(given, FieldMask(paths=["labels", "message_retention_duration"]))
    assert dict(topic.resource.labels) == {"a": "b"}
    assert topic.retention == 600
    with pytest.raises(InvalidArgument, match="kms_key_name"):
        world.pubsub.topics.update(given, FieldMask(paths=["kms_key_name"]))


def test_a_deleted_topic_leaves_its_subscriptions_with_what_they_hold(world):
    mine = world.subscribe()
    world.publish("kept")
    world.pubsub.delete_topic("projects/p/topics/events")
    assert mine.resource.topic == "_deleted-topic_"
    world.topic()
    world.publish("of another topic by the same name")
    assert world.texts(mine) == ["kept"]
    world.pubsub.subscriptions.remove(mine)
    with pytest.raises(NotFound, match="resource=mine"):
        world.find()


def test_a_detached_subscription_has_nothing_and_gets_nothing(world):
    mine = world.subscribe()
    world.publish("x")
    world.pubsub.subscriptions.detach(mine.resource.name)
    world.publish("y")
    assert mine.resource.detached
    assert world.texts(mine) == []
    with pytest.raises(FailedPrecondition, match="Subscription is detached"):
        mine.check_open()
    with pytest.raises(FailedPrecondition, match="Subscription is detached"):
        world.pubsub.subscriptions.detach(mine.resource.name)


def test_a_message_that_fails_too_often_says_where_it_came_from(world):
    world.topic("letters")
    letters = world.subscribe("letters", topic="letters")
    policy = {"dead_letter_topic": "projects/p/topics/letters", "max_delivery_attempts": 5}
    mine = world.subscribe(dead_letter_policy=policy)
    (published,) = world.publish("poison", key="k", a="b")
    for _ in range(5):
        mine.modify([world.take(mine)[0].ack_id], 0)
    (letter,) = world.take(letters)
    assert letter.message.data == b"poison"
    assert letter.message.ordering_key == "k"
    assert letter.message.id != published
    assert letter.message.attributes == {
        "a": "b",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "mine",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": datetime.fromtimestamp(world.now, UTC).isoformat(
            timespec="milliseconds"
        ),
    }
    assert letter.attempt == 0


def test_a_subscription_that_nobody_uses_expires_and_one_in_use_does_not(world):
    for name in ("unused", "used"):
        world.subscribe(name, expiration_policy={"ttl": {"seconds": DAY}})
    world.subscribe("forever", expiration_policy={})
    world.now += DAY - 1
    world.find("used")
    world.now += 2
    world.publish("x")
    assert sorted(world.pubsub.topics.find("projects/p/topics/events").subscriptions) == [
        "projects/p/subscriptions/forever",
        "projects/p/subscriptions/used",
    ]
    world.now += DAY
    with pytest.raises(NotFound):
        world.find("used")
    world.now += 1000 * DAY
    assert world.pubsub.subscriptions.names("projects/p") == ["projects/p/subscriptions/forever"]


def seek(world, subscription, since):
    world.pubsub.seek_time(subscription, int(since * MICROSECONDS))


def test_seeking_back_delivers_again_what_was_kept_and_seeking_to_now_clears(world):
    keeps, forgets = world.subscribe("keeps", retain_acked_messages=True), world.subscribe("forgets")
    world.publish("old")
    world.now += 10
    since = world.now
    world.publish("new")
    world.now += 10
    for subscription in (keeps, forgets):
        subscription.acknowledge([delivery.ack_id for delivery in world.take(subscription)])
        seek(world, subscription, since)
    assert world.texts(keeps) == ["new"]
    assert world.texts(forgets) == []
    world.publish("newest")
    world.now += 1
    for subscription in (keeps, forgets):
        seek(world, subscription, world.now)
        assert world.texts(subscription) == []
    seek(world, keeps, since - 10)
    assert world.texts(keeps) == ["old", "new", "newest"]


def test_a_topic_with_a_retention_of_its_own_lets_a_new_subscription_see_the_past(world):
    world.topic("kept", message_retention_duration={"seconds": 600})
    world.publish("too old", topic="kept")
    world.now += 500
    world.publish("a", topic="kept", wanted="yes")
    world.publish("b", topic="kept")
    world.now += 200
    late = world.subscribe(topic="kept", filter="attributes:wanted")
    assert world.texts(late) == []
    seek(world, late, world.now - 650)
    assert world.texts(late) == ["a"]


def test_a_snapshot_brings_back_what_was_open_and_all_that_came_since(world):
    mine = world.subscribe()
    world.publish("done", "open")
    first = world.take(mine)
    mine.acknowledge([first[0].ack_id])
    snapshot = world.pubsub.create_snapshot("projects/p/snapshots/moment", mine, {"a": "b"})
    assert snapshot.resource.topic == "projects/p/topics/events"
    assert snapshot.resource.expire_time.seconds == int(world.now) + 7 * DAY
    world.publish("since")
    mine.acknowledge([first[1].ack_id, *(delivery.ack_id for delivery in world.take(mine))])
    world.pubsub.seek_snapshot(mine, "projects/p/snapshots/moment")
    assert world.texts(mine) == ["open", "since"]


def test_snapshots_are_checked_listed_changed_and_gone_in_time(world):
    mine, name = world.subscribe(), "projects/p/snapshots/moment"
    world.pubsub.create_snapshot(name, mine, {})
    with pytest.raises(AlreadyExists):
        world.pubsub.create_snapshot(name, mine, {})
    changed = world.pubsub.update_snapshot(
        Snapshot(name=name, labels={"a": "b"}), FieldMask(paths=["labels"])
    )
    assert dict(changed.resource.labels) == {"a": "b"}
    world.topic("other")
    other = world.subscribe("other", topic="other")
    with pytest.raises(FailedPrecondition, match="different from that of the snapshot"):
        world.pubsub.seek_snapshot(other, name)
    assert world.pubsub.snapshot_names("projects/p") == [name]
    world.now += 7 * DAY
    assert world.pubsub.snapshot_names("projects/p") == []
    with pytest.raises(NotFound):
        world.pubsub.snapshot(name)


def test_a_backlog_that_is_too_old_for_a_snapshot(world):
    mine = world.subscribe(message_retention_duration={"seconds": 31 * DAY})
    world.publish("x")
    world.now += 7 * DAY - 3599
    with pytest.raises(FailedPrecondition, match="backlog is too old"):
        world.pubsub.create_snapshot("projects/p/snapshots/moment", mine, {})


def test_a_restart_keeps_topics_and_subscriptions_and_forgets_messages(world, restart):
    world.subscribe(filter='attributes.kind = "job"', expiration_policy={"ttl": {"seconds": DAY}})
    world.subscribe("detached")
    world.pubsub.subscriptions.detach("projects/p/subscriptions/detached")
    world.publish("lost", kind="job")
    again = restart(world)
    mine = again.find()
    assert world.find().resource == mine.resource
    again.publish("task", kind="task")
    again.publish("job", kind="job")
    assert again.texts(mine) == ["job"]
    assert again.find("detached").resource.detached


def test_acknowledgements_of_another_life_do_nothing(world):
    """A subscription made anew under its old name must not lose messages to late acknowledgements."""
    first = world.subscribe()
    world.publish("x")
    (old,) = world.take(first)
    world.pubsub.subscriptions.remove(first)
    second = world.subscribe()
    world.publish("y")
    world.take(second)
    second.acknowledge([old.ack_id])
    world.now += 11
    assert world.texts(second) == ["y"]


@pytest.mark.parametrize("ack_ids", [[], ["garbage"], ["projects/p/subscriptions/mine2:0-0-1"]])
def test_ids_of_nothing_are_refused(world, ack_ids):
    mine = world.subscribe()
    for answer in (mine.acknowledge, lambda ids: mine.modify(ids, 10)):
        with pytest.raises(InvalidArgument, match=r"ack (id|ID)"):
            answer(ack_ids)
    for seconds in (-1, 601):
        with pytest.raises(InvalidArgument, match="between 0 and 600"):
            mine.modify(["projects/p/subscriptions/mine:0-0-1"], seconds)


def test_a_route_can_lose_double_delay_and_reorder_notifications(world):
    """The seam for faults: one question a message and subscription, asked when it is published."""
    mine, other = world.subscribe(), world.subscribe("other")
    plan = {b"lost": (), b"twice": (0.0, 0.0), b"late": (5.0,)}

    def route(subscription, message):
        return plan.get(message.data, (0.0,)) if subscription.endswith("/mine") else (0.0,)

    world.pubsub.route = route
    world.publish("lost", "twice", "late", "plain")
    assert world.texts(mine) == ["twice", "twice", "plain"]
    world.now += 5
    assert world.texts(mine) == ["late"]
    assert world.texts(other) == ["lost", "twice", "late", "plain"]


def test_every_refusal_has_a_code_for_the_wire(world):
    for error in (OutOfRange("x"), Unimplemented.feature("a", "b")):
        assert isinstance(error, ApiError)
        assert error.number in (11, 12)
