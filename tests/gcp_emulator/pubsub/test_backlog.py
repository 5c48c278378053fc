"""Leases, back-offs, order and age of messages, second by second."""

import pytest

from gcp_emulator.pubsub.backlog import BATCH_BYTES, Backlog
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.message import MICROSECONDS, Message
from gcp_emulator.pubsub.policy import Policy

NOW = 1_000_000.0


class Desk:
    """A backlog and a clock."""

    def __init__(self, **policy):
        self.now = NOW
        self.dead = []
        self.takes_dead = True
        self.numbers = iter(range(10_000))
        self.backlog = Backlog(Policy(**policy), "s:", self.forward)

    def forward(self, message, attempts):
        if self.takes_dead:
            self.dead.append((message.data.decode(), attempts))
        return self.takes_dead

    def offer(self, *texts, key="", delay=0.0):
        for text in texts:
            message = Message(next(self.numbers), int(self.now * MICROSECONDS), text.encode(), {}, key)
            self.backlog.offer(message, self.now, delay)

    def take(self, limit=100, holder=None):
        given = self.backlog.take(holder or Holder(), limit, self.now)
        return {delivery.message.data.decode(): delivery for delivery in given}

    def texts(self, limit=100, holder=None):
        return list(self.take(limit, holder))

    def acknowledge(self, *deliveries):
        self.backlog.acknowledge([delivery.ack_id for delivery in deliveries], self.now)

    def refuse(self, delivery):
        self.backlog.modify(delivery.ack_id, 0, self.now)


def test_a_message_comes_again_when_its_lease_is_over_and_not_before():
    desk = Desk(ack_deadline=10)
    desk.offer("a")
    assert desk.texts() == ["a"]
    desk.now += 9.9
    assert desk.texts() == []
    assert desk.backlog.next_due() == NOW + 10
    desk.now += 0.1
    assert desk.texts() == ["a"]


def test_a_longer_deadline_counts_from_when_it_is_given():
    desk = Desk(ack_deadline=10)
    desk.offer("a")
    taken = desk.take()["a"]
    desk.now += 5
    desk.backlog.modify(taken.ack_id, 60, desk.now)
    desk.now += 59
    assert desk.texts() == []
    desk.backlog.modify(taken.ack_id, 1, desk.now)
    desk.now += 1
    assert desk.texts() == ["a"]


def test_a_refused_message_comes_again_at_once():
    desk = Desk()
    desk.offer("a", "b")
    desk.refuse(desk.take()["a"])
    assert desk.texts() == ["a"]


def test_an_acknowledgement_after_the_lease_counts_until_the_message_is_given_again():
    desk = Desk(ack_deadline=10)
    desk.offer("a", "b")
    first = desk.take()
    desk.now += 11
    desk.acknowledge(first["a"])
    assert desk.texts() == ["b"]
    desk.acknowledge(first["b"])
    desk.now += 11
    assert desk.texts() == ["b"]


def test_back_off_doubles_from_least_to_most():
    desk = Desk(min_backoff=10, max_backoff=30)
    desk.offer("a")
    for wait in (10, 20, 30, 30):
        desk.refuse(desk.take()["a"])
        desk.now += wait - 0.1
        assert desk.texts() == []
        desk.now += 0.1
        desk.backlog.tick(desk.now)


def test_a_message_that_fails_too_often_is_forwarded_with_its_attempts():
    desk = Desk(dead_letter_topic="letters", max_attempts=5, ack_deadline=10)
    desk.offer("a", "b")
    for attempt in range(1, 6):
        taken = desk.take()
        assert taken["a"].attempt == attempt
        if attempt == 1:
            desk.acknowledge(taken["b"])
        if attempt % 2:
            desk.refuse(taken["a"])
        else:
            desk.now += 10  # a lease that ends counts as much as a refusal
    assert desk.texts() == []
    assert desk.dead == [("a", 5)]
    assert desk.backlog.messages() == []


def test_a_message_stays_when_the_dead_letter_topic_is_gone():
    desk = Desk(dead_letter_topic="letters", max_attempts=5)
    desk.takes_dead = False
    desk.offer("a")
    for _ in range(7):
        desk.refuse(desk.take()["a"])
    desk.takes_dead = True
    desk.refuse(desk.take()["a"])
    assert desk.texts() == []
    assert desk.dead == [("a", 8)]


def test_without_a_dead_letter_policy_attempts_are_not_told():
    desk = Desk()
    desk.offer("a")
    desk.refuse(desk.take()["a"])
    assert desk.take()["a"].attempt == 0


def test_messages_of_a_key_wait_for_those_given_before():
    """A pull that gets 1 and 2 has the key to itself until both are acknowledged."""
    desk = Desk(ordered=True)
    desk.offer("1", "2", "3", key="k")
    desk.offer("other", key="other")
    desk.offer("free")
    holder = Holder()
    first = desk.take(2, holder)
    desk.backlog.leave(holder)
    assert list(first) == ["1", "2"]
    assert desk.texts() == ["other", "free"]
    desk.acknowledge(first["2"])
    assert desk.texts() == []
    desk.acknowledge(first["1"])
    assert desk.texts() == ["3"]


def test_a_stream_gets_more_of_a_key_while_it_holds_some_and_nobody_else_does():
    desk = Desk(ordered=True)
    stream, other = Holder(), Holder()
    desk.offer("1", key="k")
    assert desk.texts(holder=stream) == ["1"]
    desk.offer("2", key="k")
    assert desk.texts(holder=other) == []
    assert desk.texts(holder=stream) == ["2"]


def test_a_refused_message_brings_back_all_later_ones_of_its_key_even_acknowledged_ones():
    """https://cloud.google.com/pubsub/docs/ordering: redelivery of one triggers that of all that follow."""
    desk = Desk(ordered=True)
    stream = Holder()
    desk.offer("1", "2", "3", "4", key="k")
    taken = desk.take(holder=stream)
    desk.acknowledge(taken["1"], taken["3"])
    desk.refuse(taken["2"])
    desk.acknowledge(taken["4"])  # its delivery is history
    assert desk.texts(holder=stream) == ["2", "3", "4"]
    assert stream.messages == 3


def test_a_dead_letter_lets_the_rest_of_its_key_pass():
    desk = Desk(ordered=True, dead_letter_topic="letters", max_attempts=5)
    desk.offer("1", "2", key="k")
    for _ in range(5):
        desk.refuse(desk.take(1)["1"])
    assert desk.texts() == ["2"]


def test_a_key_of_a_stream_that_has_gone_is_free_when_its_leases_are_over():
    desk = Desk(ordered=True, ack_deadline=10)
    stream = Holder()
    desk.offer("1", "2", key="k")
    assert desk.texts(1, stream) == ["1"]
    desk.backlog.leave(stream)
    assert desk.texts() == []
    desk.now += 10
    assert desk.texts() == ["1", "2"]


def test_a_stream_gets_as_many_messages_and_bytes_as_it_has_room_for():
    desk = Desk()
    few, little = Holder(max_messages=2), Holder(max_bytes=4)
    desk.offer("aa", "bb", "cc", "dd", "ee")
    first = desk.take(holder=few)
    assert list(first) == ["aa", "bb"]
    assert desk.texts(holder=few) == []
    assert desk.texts(holder=little) == ["cc", "dd"]
    woken = []
    few.wake = lambda: woken.append(True)
    desk.acknowledge(first["aa"])
    assert woken == [True]
    assert desk.texts(holder=few) == ["ee"]


def test_one_answer_stays_below_what_a_client_takes():
    """A gRPC client refuses an answer over four megabytes."""
    desk = Desk()
    big = "x" * (BATCH_BYTES // 2)
    for index in range(3):
        desk.offer(f"{index}{big}")
    desk.offer("y" * (BATCH_BYTES + 1))
    sizes = []
    while taken := desk.take():
        sizes.append([len(text) for text in taken])
        desk.acknowledge(*taken.values())
    assert sizes == [[len(big) + 1]] * 3 + [[BATCH_BYTES + 1]]


def test_messages_vanish_when_they_are_too_old_whoever_has_them():
    desk = Desk(retention=600, ordered=True, ack_deadline=600)
    holder = Holder()
    desk.offer("held", "next", key="k")
    desk.offer("waiting")
    held = desk.take(1, holder)["held"]
    desk.now += 599
    desk.offer("young", key="k")
    desk.now += 2
    assert desk.texts() == ["young"]
    assert holder.messages == 0
    desk.acknowledge(held)
    assert len(desk.backlog.messages()) == 1


def test_acknowledged_messages_are_kept_on_request_and_as_long_as_others():
    desk = Desk(retention=600, retain_acked=True)
    desk.offer("a", "b")
    desk.acknowledge(desk.take()["a"])
    assert len(desk.backlog.messages()) == 2
    assert [m.data for m in desk.backlog.unacknowledged()] == [b"b"]
    desk.now += 601
    desk.backlog.tick(desk.now)
    assert desk.backlog.messages() == []


@pytest.mark.parametrize("ordered", [True, False])
def test_starting_over_forgets_who_has_what(ordered):
    desk = Desk(retain_acked=True, ordered=ordered)
    stream = Holder()
    desk.offer("1", "2", "3", key="k")
    taken = desk.take(2, holder=stream)
    desk.acknowledge(taken["1"])
    desk.backlog.restore(desk.backlog.messages()[:2], desk.now)
    assert stream.messages == 0
    desk.acknowledge(taken["2"])
    assert desk.texts() == ["1", "2"]
    assert len(desk.backlog.messages()) == 3


def test_a_delayed_message_arrives_late_and_holds_up_its_key_alone():
    desk = Desk(ordered=True)
    desk.offer("late", key="k", delay=2.5)
    desk.offer("after", key="k")
    desk.offer("now")
    assert desk.texts() == ["now"]
    assert desk.backlog.next_due() == NOW + 2.5 or desk.backlog.next_due() < NOW + 10
    desk.now += 2.5
    assert desk.texts() == ["late", "after"]


def test_what_was_on_its_way_to_a_dead_client_comes_first_and_is_no_attempt():
    desk = Desk(dead_letter_topic="letters")
    stream = Holder()
    desk.offer("a", "b", "c")
    taken = desk.take(2, stream)
    desk.backlog.leave(stream)
    desk.backlog.give_back([delivery.ack_id for delivery in taken.values()])
    again = desk.take()
    assert list(again) == ["a", "b", "c"]
    assert {delivery.attempt for delivery in again.values()} == {1}


def test_long_leases_of_acknowledged_messages_take_no_room():
    desk = Desk(ack_deadline=600)
    for _ in range(2_000):
        desk.offer("x")
        desk.acknowledge(*desk.take().values())
    assert len(desk.backlog._due._heap) < 100
