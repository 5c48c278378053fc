"""Whatever clients do, no message is lost, none has two holders at once, and each ordering key keeps its order."""

import itertools
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gcp_emulator.pubsub.backlog import Backlog
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.message import MICROSECONDS, Message
from gcp_emulator.pubsub.policy import Policy

START = 1_000_000.0
KEYS = ("", "a", "a", "b")


@dataclass(eq=False)
class Known:
    """What the test believes of one message; `line` holds those of its key, in order."""

    message: Message
    line: list["Known"]
    holder: Holder | None = None
    ack_id: str = ""  # of the last delivery, while it still counts
    until: float = 0.0
    leased: int = 0  # which of all leases this one was, to tell two apart that end together
    acknowledged: bool = False
    for_good: bool = False  # acknowledged when it waited again already, or forwarded
    fails: int = 0
    free_at: float = 0.0
    past: set[str] = field(default_factory=set)

    @property
    def earlier(self) -> list["Known"]:
        return self.line[: self.line.index(self)]

    @property
    def later(self) -> list["Known"]:
        return self.line[self.line.index(self) + 1 :]

    @property
    def away(self) -> bool:
        return self.holder is not None or self.acknowledged or self.for_good


class Clients(RuleBasedStateMachine):
    """Publishers, pulls and streams at one subscription."""

    @initialize(
        ordered=st.sampled_from([True, True, False]),
        backoff=st.sampled_from([0.0, 7.0]),
        letters=st.booleans(),
    )
    def begin(self, ordered: bool, backoff: float, letters: bool) -> None:
        self.now = START
        self.known: list[Known] = []
        self.lines: dict[str, list[Known]] = {}
        self.leases = itertools.count()
        self.streams: list[Holder] = []
        self.ordered = ordered
        self.policy = Policy(
            ordered=ordered,
            min_backoff=backoff,
            max_backoff=backoff * 4,
            dead_letter_topic="letters" if letters else "",
            retention=10_000_000,
        )
        self.backlog = Backlog(self.policy, "test:", self.forward)

    def forward(self, message: Message, attempts: int) -> bool:
        assert attempts == self.policy.max_attempts
        self.known[message.number].for_good = True
        return True

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=5))
    def publish(self, keys: list[str]) -> None:
        for key in keys:
            message = Message(len(self.known), int(self.now * MICROSECONDS), b"x", {}, key)
            line = self.lines.setdefault(key, []) if self.ordered and key else []
            line.append(Known(message, line))
            self.known.append(line[-1])
            self.backlog.offer(message, self.now)

    @rule(limit=st.integers(0, 4))
    def open_stream(self, limit: int) -> None:
        self.streams.append(Holder(max_messages=limit))

    @rule(limit=st.integers(1, 5), deadline=st.sampled_from([0, 10, 30]))
    def pull(self, limit: int, deadline: int) -> None:
        holder = Holder(ack_deadline=deadline)
        self.take(holder, limit)
        self.backlog.leave(holder)

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), limit=st.integers(1, 5))
    def stream_takes(self, data: st.DataObject, limit: int) -> None:
        holder = data.draw(st.sampled_from(self.streams))
        self.take(holder, limit)
        assert holder.max_messages == 0 or holder.messages <= holder.max_messages

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), limit=st.integers(0, 3))
    def stream_dies(self, data: st.DataObject, limit: int) -> None:
        """Its last batch never arrived, or there was none under way."""
        holder = self.streams.pop(data.draw(st.integers(0, len(self.streams) - 1)))
        batch = self.take(holder, limit) if limit else []
        self.backlog.leave(holder)
        self.backlog.give_back(known.ack_id for known in batch)
        for known in batch:
            self.back(known)

    @precondition(lambda self: any(known.ack_id for known in self.known))
    @rule(data=st.data(), what=st.sampled_from(["acknowledge", "acknowledge", "refuse", "extend"]))
    def answer(self, data: st.DataObject, what: str) -> None:
        """Any delivery that still counts, also one whose lease is over."""
        known = data.draw(st.sampled_from([known for known in self.known if known.ack_id]))
        if what == "acknowledge":
            self.backlog.acknowledge([known.ack_id], self.now)
            known.acknowledged, known.for_good = True, known.holder is None
            known.holder, known.ack_id = None, ""
        elif what == "refuse":
            self.backlog.modify(known.ack_id, 0, self.now)
            self.failed(known)
        else:
            self.backlog.modify(known.ack_id, 25, self.now)
            if known.holder is not None:
                known.until, known.leased = self.now + 25, next(self.leases)

    @precondition(lambda self: self.outdated())
    @rule(data=st.data(), refuse=st.booleans())
    def answer_too_late(self, data: st.DataObject, refuse: bool) -> None:
        """An id of an earlier delivery changes nothing."""
        ack_id = data.draw(st.sampled_from(self.outdated()))
        if refuse:
            self.backlog.modify(ack_id, 0, self.now)
        else:
            self.backlog.acknowledge([ack_id], self.now)

    def outdated(self) -> list[str]:
        return [
            ack_id for known in self.known if not known.for_good for ack_id in known.past - {known.ack_id}
        ]

    @rule(seconds=st.sampled_from([0.5, 5, 11, 31]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.backlog.tick(self.now)
        over = [known for known in self.known if known.holder is not None and known.until <= self.now]
        for known in sorted(over, key=lambda known: (known.until, known.leased)):
            ack_id = known.ack_id
            if self.failed(known) and not known.for_good:
                known.ack_id = ack_id  # late is better than never

    @invariant()
    def holders_count_right(self) -> None:
        for holder in getattr(self, "streams", ()):
            assert holder.messages == sum(known.holder is holder for known in self.known)
            assert holder.bytes == holder.messages

    def teardown(self) -> None:
        """Everything that nobody acknowledged is still there to be delivered, and nothing else is."""
        for stream in getattr(self, "streams", ()):
            self.backlog.leave(stream)
        for _ in range(3 if hasattr(self, "known") else 0):
            self.time_passes(700)
            for known in self.take(Holder(), 1000):
                self.backlog.acknowledge([known.ack_id], self.now)
                known.acknowledged, known.holder, known.ack_id = True, None, ""
        if hasattr(self, "known"):
            assert all(known.acknowledged or known.for_good for known in self.known)
            assert self.backlog.messages() == []
            assert not self.backlog.ready
            assert self.backlog.next_due() is None

    def take(self, holder: Holder, limit: int) -> list[Known]:
        taken = []
        for delivery in self.backlog.take(holder, limit, self.now):
            known = self.known[delivery.message.number]
            assert known.holder is None, "two holders within one lease"
            assert not known.acknowledged, "acknowledged, and delivered again"
            assert not known.for_good, "forwarded, and delivered again"
            assert self.now >= known.free_at, "before its back-off was over"
            assert delivery.attempt == (known.fails + 1 if self.policy.dead_letter_topic else 0)
            for earlier in known.earlier:
                assert earlier.away, "before an earlier message of its key"
                assert earlier.holder in (None, holder), "one key with two holders"
            known.holder, known.ack_id, known.leased = holder, delivery.ack_id, next(self.leases)
            known.until = self.now + (holder.ack_deadline or self.policy.ack_deadline)
            known.past.add(known.ack_id)
            taken.append(known)
        return taken

    def failed(self, known: Known) -> bool:
        """A lease ended without an acknowledgement; False when there was none any more."""
        if known.holder is None:
            return False
        known.fails += 1
        known.free_at = self.now + self.policy.backoff(known.fails)
        self.back(known)
        return True

    def back(self, known: Known) -> None:
        """To be delivered again, and all later ones of its key that were out, acknowledged or not."""
        known.holder, known.ack_id = None, ""
        for later in known.later:
            if later.holder is not None or (later.acknowledged and not later.for_good):
                later.holder, later.ack_id, later.acknowledged = None, "", False


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
