"""Who waits is woken: at once, in turn, when something falls due, and when it is over."""

import asyncio
import time

import pytest

from gcp_emulator.errors import NotFound, Unavailable
from gcp_emulator.pubsub.backlog import Backlog
from gcp_emulator.pubsub.entry import Holder
from gcp_emulator.pubsub.feed import Feed
from gcp_emulator.pubsub.message import MICROSECONDS, Message
from gcp_emulator.pubsub.policy import Policy


class Room:
    """A feed on the real clock."""

    def __init__(self, **policy):
        self.backlog = Backlog(Policy(**policy), "s:")
        self.feed = Feed(self.backlog, time.time)
        self.numbers = iter(range(100_000))

    def offer(self, *texts, key="", delay=0.0):
        now = time.time()
        for text in texts:
            message = Message(next(self.numbers), int(now * MICROSECONDS), text.encode(), {}, key)
            self.backlog.offer(message, now, delay)
        self.feed.changed()

    async def next(self, holder=None, limit=100, wait=5.0):
        return [d.message.data.decode() for d in await self.feed.next(holder or Holder(), limit, wait)]

    async def waiting(self, count):
        while len(self.feed._turns) < count:
            await asyncio.sleep(0)


def test_a_message_wakes_one_of_those_who_wait_and_the_longest_waiting_first():
    async def main():
        room, got = Room(), []

        async def reader(name):
            for _ in range(2):
                got.append((name, *await room.next()))

        readers = [asyncio.create_task(reader(name)) for name in "ABC"]
        await room.waiting(3)
        for done, text in enumerate(("1", "2", "3", "4", "5", "6")):
            room.offer(text)
            while len(got) == done:
                await asyncio.sleep(0)
        await asyncio.gather(*readers)
        assert got == [("A", "1"), ("B", "2"), ("C", "3"), ("A", "4"), ("B", "5"), ("C", "6")]

    asyncio.run(main())


def test_whoever_leaves_something_wakes_the_next():
    async def main():
        room = Room()
        readers = [asyncio.create_task(room.next(limit=1)) for _ in range(3)]
        await room.waiting(3)
        room.offer("1", "2", "3")
        assert sorted(await asyncio.gather(*readers)) == [["1"], ["2"], ["3"]]

    asyncio.run(main())


def test_one_that_was_woken_and_cancelled_passes_its_turn_on():
    """Else a message lies there while another client waits for it."""

    async def main():
        room = Room()
        first, second = (asyncio.create_task(room.next()) for _ in range(2))
        await room.waiting(2)
        room.offer("1")
        first.cancel()
        assert await asyncio.wait_for(second, 1) == ["1"]
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_one_that_was_woken_and_closed_passes_its_turn_on():
    async def main():
        room, closed = Room(), Holder()
        first = asyncio.create_task(room.next(closed))
        await room.waiting(1)
        second = asyncio.create_task(room.next())
        await room.waiting(2)
        room.offer("1")
        room.backlog.leave(closed)
        assert await asyncio.wait_for(second, 1) == ["1"]
        assert await first == []

    asyncio.run(main())


@pytest.mark.parametrize("how", ["lease", "refused", "back-off", "delay"])
def test_what_falls_due_wakes_a_reader_in_time(how):
    async def main():
        room = Room(ack_deadline=0.2, min_backoff=0.2 if how == "back-off" else 0.0, max_backoff=0.2)
        if how == "delay":
            room.offer("1", delay=0.2)
        else:
            room.offer("1")
            (delivery,) = room.backlog.take(Holder(), 1, time.time())
        started = time.time()
        reader = asyncio.create_task(room.next())
        await room.waiting(1)
        if how in ("refused", "back-off"):
            room.backlog.modify(delivery.ack_id, 0, time.time())
            room.feed.changed()
        assert await reader == ["1"]
        took = time.time() - started
        assert took < 0.15 if how == "refused" else 0.15 < took < 1

    asyncio.run(main())


def test_a_reader_without_room_goes_on_when_it_has_some():
    async def main():
        room, stream = Room(), Holder(max_messages=1)
        room.offer("1", "2")
        (first,) = await room.feed.next(stream, 100)
        more = asyncio.create_task(room.next(stream))
        await asyncio.sleep(0.01)
        assert not more.done()
        room.backlog.acknowledge([first.ack_id], time.time())
        room.feed.changed()
        assert await asyncio.wait_for(more, 1) == ["2"]

    asyncio.run(main())


def test_a_wait_is_bounded():
    async def main():
        started = time.time()
        assert await Room().next(wait=0.1) == []
        assert 0.05 < time.time() - started < 1

    asyncio.run(main())


def test_all_who_wait_are_told_why_it_ended_and_those_who_come_later_too():
    async def main():
        room = Room()
        readers = [asyncio.create_task(room.next()) for _ in range(2)]
        await room.waiting(2)
        room.feed.close(NotFound("gone"))
        for reader in readers:
            with pytest.raises(NotFound, match="gone"):
                await reader
        room.feed.close(Unavailable("stopping"))
        with pytest.raises(Unavailable, match="stopping"):
            await room.next()

    asyncio.run(main())


def test_twenty_thousand_messages_cost_a_moment():
    """Fan-out of a burst: what a triggerer that waits for twenty thousand jobs gets."""

    async def main():
        room, got = Room(), 0
        started = time.perf_counter()
        room.offer(*["x"] * 20_000)
        stream = Holder()
        while got < 20_000:
            batch = await room.feed.next(stream, 1000)
            got += len(batch)
            room.backlog.acknowledge([delivery.ack_id for delivery in batch], time.time())
        assert time.perf_counter() - started < 2  # a third of a second on two busy cores

    asyncio.run(main())
