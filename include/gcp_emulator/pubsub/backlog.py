"""One subscription's messages: who has which until when, what comes next, what is done.

Pure: no event loop and no clock, every call is told the time (seconds). Each step costs the same however many
messages there are, but for `restore` and the logarithm of the leases' heap.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from gcp_emulator.pubsub.due import Due
from gcp_emulator.pubsub.entry import Entry, Holder, Lane, State, nothing
from gcp_emulator.pubsub.message import MICROSECONDS, Delivery, Message
from gcp_emulator.pubsub.policy import Policy

BATCH_BYTES = 3 * 1024 * 1024  # below the four megabytes that a gRPC client takes unless told otherwise


class Backlog:
    """Between a publish and its acknowledgement.

    `dead_letter(message, attempts)` forwards one that failed too often, and says whether it could; `on_ready` is
    called when there is something for anyone.
    """

    def __init__(
        self,
        policy: Policy,
        ack_prefix: str = "",
        dead_letter: Callable[[Message, int], bool] = lambda message, attempts: False,
    ) -> None:
        self.policy = policy
        self.on_ready: Callable[[], None] = nothing
        self._ack_prefix = ack_prefix
        self._dead_letter = dead_letter
        self._numbers = itertools.count()
        self._log: OrderedDict[int, Entry] = OrderedDict()
        self._queue: deque[Entry | Lane] = deque()
        self._lanes: dict[str, Lane] = {}
        self._acks: dict[str, Entry] = {}
        self._due = Due()

    @property
    def ready(self) -> bool:
        """Whether a take may find something that any holder can have."""
        return bool(self._queue)

    def next_due(self) -> float | None:
        """When `tick` will next have something to do."""
        return self._due.next()

    def messages(self, since: int = 0) -> list[Message]:
        """All that are still kept, acknowledged or not, published at `since` (microseconds) or later."""
        return [entry.message for entry in self._log.values() if entry.message.published >= since]

    def unacknowledged(self) -> list[Message]:
        unfinished = (State.WAITING, State.LEASED)
        return [entry.message for entry in self._log.values() if entry.state in unfinished]

    def offer(self, message: Message, now: float, delay: float = 0.0) -> None:
        """Take in a published message, to be delivered after `delay` seconds."""
        entry = Entry(next(self._numbers), message)
        self._log[entry.number] = entry
        if delay > 0:
            self._due.set(entry, now + delay)
        if self.policy.ordered and message.ordering_key:
            lane = self._lanes.setdefault(message.ordering_key, Lane(message.ordering_key))
            entry.lane = lane
            lane.pending.append(entry)
            self._line_up(lane)
        elif delay <= 0:
            self._enqueue(entry)

    def take(self, holder: Holder, limit: int, now: float) -> list[Delivery]:
        """Lease up to `limit` messages to a holder, as many as it has room for and as fit in one answer."""
        self.tick(now)
        taken: list[Delivery] = []
        room = BATCH_BYTES
        while len(taken) < limit and holder.has_room:
            entry = self._next(holder, room if taken else None)
            if entry is None:
                break
            room -= entry.message.size
            taken.append(self._lease(entry, holder, now))
        return taken

    def acknowledge(self, ack_ids: Iterable[str], now: float) -> None:
        """Done with these. An id counts until its message is delivered again; others do nothing."""
        self.tick(now)
        for ack_id in ack_ids:
            entry = self._acks.pop(ack_id, None)
            if entry is None:
                continue
            if entry.state is State.LEASED:
                self._unlease(entry)
                entry.state = State.ACKED
            if entry.lane is None or entry.state is State.WAITING:
                self._finish(entry)
            if entry.lane is not None:
                self._settle(entry.lane)

    def modify(self, ack_id: str, seconds: float, now: float) -> None:
        """Let a lease end this many seconds from now; 0 refuses the message."""
        self.tick(now)
        entry = self._acks.get(ack_id)
        if entry is None or entry.state is not State.LEASED:
            return
        if seconds > 0:
            self._due.set(entry, now + seconds)
        else:
            self._forget_ack(entry)
            self._fail(entry, now)

    def give_back(self, ack_ids: Iterable[str]) -> None:
        """These never reached their holder: first in line again, and no attempt was made."""
        for ack_id in reversed(list(ack_ids)):
            entry = self._acks.get(ack_id)
            if entry is None or entry.state is not State.LEASED:
                continue
            self._forget_ack(entry)
            if entry.lane is not None:
                self._take_back(entry.lane, entry)
                self._settle(entry.lane)
            else:
                self._unlease(entry)
                self._queue.appendleft(entry)
                self.on_ready()

    def leave(self, holder: Holder) -> None:
        """The holder takes no more. What it has stays its own until acknowledged or out of time."""
        holder.open = False
        for lane in holder.lanes:
            lane.leave(holder.lanes)
        holder.lanes.clear()

    def tick(self, now: float) -> None:
        """Leases that are over, waits that are over, messages that are too old."""
        for entry in self._due.pop(now):
            if entry.state is State.LEASED:
                self._fail(entry, now)
            elif entry.lane is not None:
                self._line_up(entry.lane)
            else:
                self._enqueue(entry)
        oldest = (now - self.policy.retention) * MICROSECONDS
        while self._log and (first := next(iter(self._log.values()))).message.published < oldest:
            self._drop(first)

    def restore(self, wanted: Iterable[Message], now: float) -> None:
        """Start over with exactly these to deliver; what else is kept counts as acknowledged."""
        deliver = {message.number: message for message in wanted}
        kept = {entry.message.number: entry.message for entry in self._log.values()} | deliver
        for entry in self._log.values():
            if entry.state is State.LEASED:
                self._unlease(entry)
            entry.state = State.DONE
            self._due.clear(entry)
        for lane in self._lanes.values():
            lane.place = None
        for container in (self._log, self._queue, self._lanes, self._acks):
            container.clear()
        for number in sorted(kept if self.policy.retain_acked else deliver):
            if number in deliver:
                self.offer(kept[number], now)
            else:
                entry = Entry(next(self._numbers), kept[number])
                entry.state = State.DONE
                self._log[entry.number] = entry

    def _next(self, holder: Holder, room: int | None) -> Entry | None:
        """The next one for a holder, out of its queue: first its own lanes, then what is for all."""
        for queue in (holder.lanes, self._queue):
            while queue:
                item = queue[0]
                entry = item.head_in(queue) if isinstance(item, Lane) else item
                if entry is not None and entry.state is not State.WAITING:
                    entry = None
                if entry is not None and room is not None and entry.message.size > room:
                    return None
                queue.popleft()
                if isinstance(item, Lane):
                    item.leave(queue)
                if entry is None:
                    continue
                if entry.lane is not None:
                    entry.lane.start(holder)
                    self._line_up(entry.lane)
                return entry
        return None

    def _lease(self, entry: Entry, holder: Holder, now: float) -> Delivery:
        self._forget_ack(entry)
        entry.state = State.LEASED
        entry.holder = holder
        entry.deliveries += 1
        entry.ack_id = f"{self._ack_prefix}{entry.number:x}-{entry.deliveries:x}"
        self._acks[entry.ack_id] = entry
        self._due.set(entry, now + (holder.ack_deadline or self.policy.ack_deadline))
        holder.add(entry.message)
        attempt = entry.failures + 1 if self.policy.dead_letter_topic else 0
        return Delivery(entry.ack_id, entry.message, attempt)

    def _unlease(self, entry: Entry) -> None:
        if entry.holder is not None:
            entry.holder.drop(entry.message)
        entry.state = State.WAITING
        entry.holder = None
        self._due.clear(entry)

    def _fail(self, entry: Entry, now: float) -> None:
        """A leased message was refused or ran out of time: again later, or to the dead-letter topic."""
        if entry.lane is not None:
            self._take_back(entry.lane, entry)
        else:
            self._unlease(entry)
        entry.failures += 1
        wait = self.policy.backoff(entry.failures)
        if self.policy.exhausted(entry.failures) and self._dead_letter(entry.message, entry.failures):
            self._finish(entry)
        elif wait > 0:
            self._due.set(entry, now + wait)
        elif entry.lane is None:
            self._enqueue(entry)
        if entry.lane is not None:
            self._settle(entry.lane)

    def _take_back(self, lane: Lane, entry: Entry) -> None:
        """A message of a key and all later ones are to be delivered again, even those acknowledged."""
        while True:
            last = lane.out.pop()
            if last.state is State.LEASED:
                self._unlease(last)
            if last.state is not State.DONE:
                last.state = State.WAITING
                lane.pending.appendleft(last)
            if last is entry:
                return
            self._forget_ack(last)

    def _settle(self, lane: Lane) -> None:
        """Forget what is acknowledged from the oldest on; a lane with nothing out is anyone's."""
        while lane.out and lane.out[0].state in (State.ACKED, State.DONE):
            entry = lane.out.popleft()
            if entry.state is State.ACKED:
                self._finish(entry)
        if not lane.out:
            lane.holder = None
            if lane.place is not self._queue:
                lane.place = None  # it may stand for another holder's turn no longer
        lane.head()
        if not lane.empty:
            self._line_up(lane)
        elif self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]

    def _line_up(self, lane: Lane) -> None:
        """Let a lane stand where it belongs, if its next message may go out."""
        if lane.place is not None or lane.head() is None:
            return
        if lane.holder is None:
            lane.place = self._queue
            self._enqueue(lane)
        elif lane.holder.open:
            lane.place = lane.holder.lanes
            lane.holder.lanes.append(lane)
            lane.holder.wake()

    def _enqueue(self, item: Entry | Lane) -> None:
        self._queue.append(item)
        self.on_ready()

    def _finish(self, entry: Entry) -> None:
        entry.state = State.DONE
        self._due.clear(entry)
        self._forget_ack(entry)
        if not self.policy.retain_acked:
            self._log.pop(entry.number, None)

    def _drop(self, entry: Entry) -> None:
        """Too old: gone, whoever has it."""
        if entry.state is State.LEASED:
            self._unlease(entry)
        fresh = entry.state is not State.DONE
        self._finish(entry)
        self._log.pop(entry.number, None)
        if entry.lane is not None and fresh:
            self._settle(entry.lane)
        while self._queue and isinstance(self._queue[0], Entry) and self._queue[0].state is State.DONE:
            self._queue.popleft()

    def _forget_ack(self, entry: Entry) -> None:
        self._acks.pop(entry.ack_id, None)
        entry.ack_id = ""
