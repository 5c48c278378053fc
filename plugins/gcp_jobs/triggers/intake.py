"""Takes events from a subscription at a set rate, and acknowledges each only when what came of it is stored.

The broker's half of Airflow's shared stream in ack mode (airflow/triggers/shared_stream.py, 3.3). A message is one of:
in hand (its lease is kept), done with (if it is delivered again, it is acknowledged again), or not ours any more.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from gcp_jobs.errors import GcpJobsError
from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.judge import Judge, Poison
from gcp_jobs.event_rules.model import Rule
from gcp_jobs.event_rules.start import Start
from gcp_jobs.pace import Pace
from gcp_jobs.triggers.mailbox import Mailbox
from gcp_jobs.waiting import Backoff

log = logging.getLogger(__name__)

LEASE_S = 60
RENEW_S = 20.0
AGAIN_S = 60  # when an event that could not be dead-lettered comes again
FARTHEST_S = 600  # Pub/Sub keeps a message away for no longer
AT_ONCE = 100
REMEMBERED = 50_000
CLOSE_S = 3.0
FULL_S = 0.05
FLUSH_S = 15.0


class Starts(dict[str, Any]):
    """What one asset event carries, {"starts": [...]}; Airflow logs each whole, so it shows as how many."""

    def __repr__(self) -> str:
        return f"{len(self['starts'])} starts of jobs"


class Intake(SharedStreamProducer):
    """One subscription's events, judged.

    :param rules: JSON list of what Rule.compact gives
    :param per_minute: events taken a minute
    :param in_hand: events taken and not acknowledged yet
    """

    def __init__(self, mailbox: Mailbox, rules: str, per_minute: float, in_hand: int) -> None:
        self._mailbox, self._rules, self._most = mailbox, rules, in_hand
        self._pace = Pace(per_minute, burst=max(1.0, per_minute / 30))
        self._paces: dict[str, Pace] = {}
        self._hand: dict[str, str] = {}  # message id -> its latest acknowledgement id
        self._done: OrderedDict[str, None] = OrderedDict()
        self._ready: asyncio.Queue[tuple[str, Start] | Exception] = asyncio.Queue()
        self._works: set[asyncio.Task[None]] = set()
        self._trouble = ""

    # Airflow's side

    async def open_stream(self) -> AsyncIterator[tuple[Starts, tuple[str, ...]]]:
        """Give what is to be started, and the ids of the messages behind it; for ever."""
        self._work(self._pull())
        self._work(self._renew())
        last, busy = -FLUSH_S, False
        while True:
            try:
                async with asyncio.timeout(FLUSH_S if busy else None):
                    ready = [await self._ready.get()]
            except (
                TimeoutError
            ):  # an event of its own for what Airflow may have left behind (see event_backlog)
                busy = False
                yield Starts(starts=[]), ()
                continue
            busy, last = busy or time.monotonic() < last + FLUSH_S, time.monotonic()
            while len(ready) < AT_ONCE and not self._ready.empty():
                ready.append(self._ready.get_nowait())
            for each in ready:
                if isinstance(each, Exception):
                    raise each
            pairs = [each for each in ready if not isinstance(each, Exception)]
            yield Starts(starts=[start.to_dict() for _, start in pairs]), tuple(id for id, _ in pairs)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Acknowledge what is stored; what was not stored is let go, and comes again."""
        stored = [id for item in batch if item.outcome.is_clean for id in item.broker_payload]
        others = [id for item in batch if not item.outcome.is_clean for id in item.broker_payload]
        if stored:
            await self._finish(stored)
        if others:
            log.warning(
                "%d events of %s were not stored; they come again", len(others), self._mailbox.subscription
            )
            await self._let_go(others, 0)

    async def aclose(self) -> None:
        """Let go of what is in hand, so that the next triggerer has it at once."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._let_go(list(self._hand), 0)
        except TimeoutError:
            log.info("What is in hand of %s comes again after its lease", self._mailbox.subscription)

    # Pub/Sub's side

    async def _pull(self) -> None:
        """Take messages for ever; trouble is told once, and tried again later and later."""
        try:
            rules = await asyncio.to_thread(_read, self._rules)  # many rules take a while
            judge, pace = Judge(rules), Backoff(0.5, 30.0)
            self._paces = {r.name: Pace(r.max_per_minute) for r in rules if r.max_per_minute}
            while True:
                room = min(AT_ONCE, self._most - len(self._hand))
                if room <= 0:
                    await asyncio.sleep(FULL_S)
                    continue
                try:
                    received = await self._mailbox.receive(room)
                except GcpJobsError as error:
                    self._tell(error)
                    await asyncio.sleep(pace.take())
                    continue
                self._tell(None)
                pace.reset()
                if received:
                    await asyncio.sleep(await self._take(received, judge))
        except Exception as error:  # the outermost edge: else the stream would hang without a word
            log.exception("Taking events of %s broke", self._mailbox.subscription)
            self._ready.put_nowait(error)

    async def _take(self, received: Sequence[tuple[str, Event]], judge: Judge) -> float:
        """Judge what came; gives how long to rest then, by the set rate."""
        fresh: dict[str, Event] = {}
        again: list[str] = []
        for ack_id, event in received:
            if event.id in self._done:
                again.append(ack_id)
                continue
            if event.id not in self._hand:
                fresh[event.id] = event
            self._hand[event.id] = ack_id
        if again:
            self._work(self._quietly(self._mailbox.acknowledge(again)))
        if not fresh:
            return 0.0
        self._work(self._quietly(self._mailbox.keep([self._hand[id] for id in fresh], LEASE_S)))
        judged = await asyncio.to_thread(_judged, judge, list(fresh.values()))
        if dead := [(event, found) for event, found in judged if isinstance(found, Poison)]:
            self._work(self._bury(dead))
        for event, found in judged:
            if isinstance(found, Start):
                self._plan(event.id, found)
        return max(self._pace.turn() for _ in fresh)

    def _plan(self, id: str, start: Start) -> None:
        """Have it started when its rule's own rate allows; a queue too long for our hands waits in Pub/Sub."""
        pace = self._paces.get(start.rule)
        if pace is None:
            self._ready.put_nowait((id, start))
            return
        if pace.queue >= self._most / 2:
            self._work(self._let_go([id], int(min(FARTHEST_S, max(1.0, pace.turn())))))
            pace.give_back()
            return
        delay = pace.turn()
        asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, (id, start))

    async def _renew(self) -> None:
        """Keep what is in hand from being delivered anew."""
        while True:
            await asyncio.sleep(RENEW_S)
            if self._hand:
                await self._quietly(self._mailbox.keep(list(self._hand.values()), LEASE_S))

    async def _bury(self, dead: Sequence[tuple[Event, Poison]]) -> None:
        """Dead-letter, and only then acknowledge; what cannot be dead-lettered comes again and holds nothing up."""
        ids = [event.id for event, _ in dead]
        try:
            await self._mailbox.bury(dead)
        except GcpJobsError as error:
            log.error(
                "%d events start nothing and cannot be dead-lettered; they come again: %s", len(ids), error
            )
            await self._let_go(ids, AGAIN_S)
            return
        for event, why in dead:
            of = f" (rule {why.rule})" if why.rule else ""
            log.warning("Event %s starts nothing and is dead-lettered: %s%s", event.id, why.reason, of)
        await self._finish(ids)

    async def _finish(self, ids: Sequence[str]) -> None:
        acks = [self._hand.pop(id) for id in ids if id in self._hand]
        self._done.update(dict.fromkeys(ids))
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        await self._quietly(self._mailbox.acknowledge(acks))

    async def _let_go(self, ids: Sequence[str], seconds: int) -> None:
        acks = [self._hand.pop(id) for id in ids if id in self._hand]
        if acks:
            await self._quietly(self._mailbox.keep(acks, seconds))

    async def _quietly(self, call: Coroutine[Any, Any, None]) -> None:
        """A call whose failure costs one more delivery of a message, no more."""
        try:
            await call
        except GcpJobsError as error:
            log.info("Some events will be delivered once more: %s", error)

    def _tell(self, error: GcpJobsError | None) -> None:
        said = "" if error is None else str(error)
        if said and said != self._trouble:
            log.error("No events come, trying again: %s", said)
        if self._trouble and not said:
            log.info("Events come through %s again", self._mailbox.subscription)
        self._trouble = said

    def _work(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


def _read(rules: str) -> list[Rule]:
    return [Rule.model_validate(rule) for rule in json.loads(rules)]


def _judged(judge: Judge, events: Sequence[Event]) -> list[tuple[Event, Start | Poison]]:
    found: list[tuple[Event, Start | Poison]] = []
    for event in events:
        try:
            found.append((event, judge.start(event)))
        except Poison as poison:
            found.append((event, poison))
    return found
