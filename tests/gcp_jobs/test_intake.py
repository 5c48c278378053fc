"""The event trigger in Airflow's own shared stream, against the emulator: nothing lost, nothing held up."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from airflow.triggers.shared_stream import SharedStreamManager
from google.api_core.exceptions import PermissionDenied

from gcp_jobs.clients import Access, client
from gcp_jobs.settings import settings
from gcp_jobs.triggers import intake
from gcp_jobs.triggers.job_events import JobEventTrigger

pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag is deprecated")
RULES = [
    {"name": "orders", "source": {"attributes": {"kind": "order"}}, "template": "job.yaml",
     "env": {"ID": "{body.id}"}},
    {"name": "slow", "source": {"attributes": {"kind": "slow"}}, "template": "job.yaml", "max_per_minute": 60},
]  # fmt: skip


DEPLOYER, STRANGER = (f"{name}@local-project.iam.gserviceaccount.com" for name in ("deployer", "stranger"))


class Post:
    """A topic with a subscription of events, and a dead-letter topic that somebody listens to."""

    def __init__(self) -> None:
        name = uuid.uuid4().hex
        self.topic, self.letters = (f"projects/local-project/topics/{what}-{name}" for what in ("e", "d"))
        self.subscription, self.buried = (
            f"projects/local-project/subscriptions/{what}-{name}" for what in ("e", "d")
        )
        self.publisher: Any = client("Publisher", Access())
        self.subscriber: Any = client("Subscriber", Access())
        for topic in (self.topic, self.letters):
            self.publisher.create_topic(name=topic)
        self.subscribe()
        self.subscriber.create_subscription(name=self.buried, topic=self.letters)

    def subscribe(self) -> None:
        self.subscriber.create_subscription(name=self.subscription, topic=self.topic, ack_deadline_seconds=10)

    def send(self, *bodies: bytes, kind: str = "order") -> list[str]:
        messages = [{"data": body, "attributes": {"kind": kind}} for body in bodies]
        return list(self.publisher.publish(topic=self.topic, messages=messages).message_ids)

    def rights(self, resource: str, **roles: str) -> None:
        """From now on these accounts have these roles there, and nobody but the deployer another."""
        bindings = [
            {"role": f"roles/pubsub.{role}", "members": [f"serviceAccount:{account}"]}
            for role, account in {"admin": DEPLOYER, **roles}.items()
        ]
        deployer: Any = client("Publisher", Access(impersonation_chain=(DEPLOYER,)))
        deployer.set_iam_policy(request={"resource": resource, "policy": {"bindings": bindings}})

    def orders(self, first: int, many: int) -> list[str]:
        return self.send(*(json.dumps({"id": n}).encode() for n in range(first, first + many)))

    def taken(self, subscription: str) -> list[Any]:
        """What lies there; it is taken away."""
        answer = self.subscriber.pull(subscription=subscription, max_messages=100, return_immediately=True)
        if ids := [each.ack_id for each in answer.received_messages]:
            self.subscriber.acknowledge(subscription=subscription, ack_ids=ids)
        return [each.message for each in answer.received_messages]


@pytest.fixture
def post(emulator: Any) -> Post:
    return Post()


class Watched(JobEventTrigger):
    """The trigger, whose intake the test looks at."""

    intake: Any = None

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        cls.intake = super().create_shared_stream_producer(kwargs)
        return cls.intake


class Running:
    """The trigger as the triggerer runs it; `stored` says when Airflow's database has an event."""

    def __init__(self, post: Post, per_minute: float, in_hand: int) -> None:
        made = JobEventTrigger(
            post.subscription, json.dumps(RULES), post.letters, "google_cloud_default", per_minute, in_hand
        )
        self.trigger = Watched(**made.serialize()[1])
        self.manager = SharedStreamManager()
        self.starts: list[dict[str, Any]] = []
        self.at: list[float] = []
        self.unconfirmed: list[int] = []
        self.confirming, self.empty = True, 0

    @property
    def ids(self) -> list[str]:
        return [start["env"]["ID"] for start in self.starts if start["rule"] == "orders"]

    async def run(self) -> None:
        key = self.trigger.shared_stream_key()
        shared = self.manager.subscribe(trigger_id=1, trigger=self.trigger, key=key)
        async for event in self.trigger.filter_shared_stream(shared):
            self.starts += event.payload["starts"]
            self.empty += not event.payload["starts"]
            self.at += [time.monotonic()] * len(event.payload["starts"])
            seq = self.manager.bind_pending_event(trigger_id=1, key=key)
            assert seq is not None
            self.unconfirmed.append(seq)
            self.confirm()

    def settled(self) -> bool:
        """Whether nothing is in hand: all that came is acknowledged."""
        return not Watched.intake._hand

    def confirm(self) -> None:
        """The state sync of the triggerer."""
        if self.confirming:
            self.manager.confirm_persisted(self.unconfirmed)
            self.unconfirmed.clear()

    async def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        for n in count():
            if await asyncio.to_thread(condition):
                return
            assert n * 0.05 < seconds, "the condition never came true"
            self.confirm()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(post: Post, per_minute: float = 60_000, in_hand: int = 1_000) -> AsyncIterator[Running]:
    here = Running(post, per_minute, in_hand)
    task = asyncio.create_task(here.run())
    try:
        yield here
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await here.manager.unsubscribe(1, here.trigger.shared_stream_key())


def test_the_trigger_is_rebuilt_from_little_and_is_the_same_for_airflow(post: Post) -> None:
    from airflow.triggers.base import BaseEventTrigger

    kwargs = Running(post, 600, 10).trigger.serialize()[1]
    assert all(
        isinstance(value, str | int | float) for value in kwargs.values()
    )  # nested ones lose their watcher
    assert isinstance(BaseEventTrigger.hash("x", kwargs), int)
    assert len(json.dumps(kwargs)) < 1_000


def test_an_event_is_acknowledged_only_after_it_is_stored(post: Post) -> None:
    """A triggerer that dies before that loses nothing: the next one has the event again."""

    async def story() -> None:
        async with running(post) as first:
            first.confirming = False
            post.orders(0, 3)
            await first.until(lambda: len(first.starts) == 3)
            assert first.manager._groups  # it waits for the database, for as long as it takes
        async with running(post) as second:
            await second.until(lambda: len(second.starts) == 3)
            await second.until(second.settled)
            assert post.taken(post.subscription) == []
        assert sorted(second.ids) == ["0", "1", "2"]
        async with running(post) as third:
            post.orders(7, 1)
            await third.until(lambda: third.ids == ["7"])

    asyncio.run(story())


def test_what_is_delivered_again_is_neither_fired_again_nor_left_lying(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LEASE_S", 10)
    monkeypatch.setattr(intake, "RENEW_S", 600)  # leases run out: Pub/Sub delivers what is in hand once more

    async def story() -> None:
        async with running(post) as here:
            here.confirming = False
            post.orders(0, 2)
            await here.until(lambda: len(here.starts) == 2)
            leases = set(Watched.intake._hand.values())
            await here.until(lambda: not leases & set(Watched.intake._hand.values()))
            post.orders(2, 1)
            await here.until(lambda: len(here.starts) == 3)
            here.confirming = True
            await here.until(here.settled)
            assert post.taken(post.subscription) == []
        assert here.ids == ["0", "1", "2"]

    asyncio.run(story())


def test_poison_goes_to_the_dead_letters_with_its_reason_and_holds_nothing_up(post: Post) -> None:
    async def story() -> None:
        async with running(post) as here:
            bad = post.send(b"{", b"{}") + post.send(b"{}", kind="unknown")
            post.orders(0, 2)
            await here.until(lambda: len(here.starts) == 2)
            found: list[Any] = []
            await here.until(lambda: found.extend(post.taken(post.buried)) or len(found) == 3)
            await here.until(here.settled)
            assert post.taken(post.subscription) == []
        said = {m.attributes["gcp_jobs_message_id"]: dict(m.attributes) for m in found}
        assert [said[id]["gcp_jobs_reason"][:20] for id in bad] == [
            "the message is no JS", "body.id is missing", "no rule wants it",
        ]  # fmt: skip
        assert said[bad[0]]["gcp_jobs_rule"] == "orders"
        assert said[bad[0]]["kind"] == "order"
        assert {m.data for m in found} == {b"{", b"{}"}

    asyncio.run(story())


def test_poison_stays_where_it_is_while_nobody_can_bury_it(
    post: Post, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AGAIN_S", 2)  # time enough to make the topic and its subscription

    async def story() -> None:
        post.publisher.delete_topic(topic=post.letters)
        async with running(post) as here:
            (bad,) = post.send(b"{")
            post.orders(0, 1)
            await here.until(lambda: here.ids == ["0"])
            await here.until(lambda: "cannot be dead-lettered" in caplog.text)
            post.publisher.create_topic(name=post.letters)
            post.subscriber.delete_subscription(subscription=post.buried)
            post.subscriber.create_subscription(name=post.buried, topic=post.letters)
            found: list[Any] = []
            await here.until(lambda: found.extend(post.taken(post.buried)) or found)
            assert found[0].attributes["gcp_jobs_message_id"] == bad

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())
    assert f"gcloud pubsub topics create {post.letters}" in caplog.text


def test_a_burst_is_taken_at_the_set_rate_and_none_is_lost(post: Post) -> None:
    async def story() -> None:
        post.orders(0, 900)
        began = time.monotonic()
        async with running(post, per_minute=9_000, in_hand=200) as here:
            await here.until(lambda: len(here.starts) == 900, 60)
            await here.until(lambda: not here.unconfirmed)
        assert sorted(map(int, here.ids)) == list(range(900))
        took = here.at[-1] - began
        assert took > (900 - 300 - 100) / 150  # a burst of two seconds' worth and one pull, then the rate

    asyncio.run(story())


def test_a_rules_own_rate_holds_back_its_own_events_only(post: Post) -> None:
    async def story() -> None:
        post.send(*[b"x"] * 13, kind="slow")
        async with running(post) as here:
            await here.until(lambda: len(here.starts) == 10)  # a sixth of a minute's worth at once
            post.orders(0, 5)
            await here.until(lambda: len(here.ids) == 5)
            assert len(here.starts) < 18
            await here.until(lambda: len(here.starts) == 18)

    asyncio.run(story())


def test_a_subscription_that_is_deleted_is_told_of_and_works_again_when_it_returns(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with running(post) as here:
            post.orders(0, 1)
            await here.until(lambda: here.ids == ["0"])
            post.subscriber.delete_subscription(subscription=post.subscription)
            await here.until(lambda: "No events come" in caplog.text)
            post.subscribe()
            post.orders(1, 1)
            await here.until(lambda: here.ids == ["0", "1"])

    with caplog.at_level(logging.INFO):
        asyncio.run(story())
    told = [r.getMessage() for r in caplog.records if "No events come" in r.getMessage()]
    assert len(told) == 1
    assert f"gcloud pubsub subscriptions create {post.subscription}" in told[0]
    assert "Events come through" in caplog.text


def test_a_right_that_is_taken_away_is_told_with_its_remedy_and_events_come_when_it_is_granted(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    airflow = settings().airflow_service_account

    async def story() -> None:
        post.rights(post.subscription, subscriber=airflow)
        async with running(post) as here:
            post.orders(0, 1)
            await here.until(lambda: here.ids == ["0"])
            post.rights(post.subscription, viewer=airflow)
            await here.until(lambda: "No events come" in caplog.text)
            post.orders(1, 1)
            post.rights(post.subscription, subscriber=airflow)
            await here.until(lambda: here.ids == ["0", "1"])

    with caplog.at_level(logging.INFO):
        asyncio.run(story())
    told = [r.getMessage() for r in caplog.records if "No events come" in r.getMessage()]
    assert len(told) == 1
    for part in ("not allowed to pull events", post.subscription, airflow, "needs roles/pubsub.subscriber"):
        assert part in told[0]
    assert "Events come through" in caplog.text


def test_who_may_not_publish_starts_nothing(post: Post) -> None:
    stranger: Any = client("Publisher", Access(impersonation_chain=(STRANGER,)))

    async def story() -> None:
        post.rights(post.topic, publisher=settings().airflow_service_account)
        async with running(post) as here:
            with pytest.raises(PermissionDenied, match="User not authorized"):
                stranger.publish(
                    topic=post.topic, messages=[{"data": b'{"id": 9}', "attributes": {"kind": "order"}}]
                )
            post.orders(0, 1)
            await here.until(lambda: here.ids == ["0"])
            await here.until(here.settled)
        assert here.ids == ["0"]
        assert post.taken(post.subscription) == []

    asyncio.run(story())


def test_poison_that_nobody_may_bury_stays_and_the_log_says_who_needs_what(
    post: Post, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AGAIN_S", 1)
    airflow = settings().airflow_service_account

    async def story() -> None:
        post.rights(post.letters)
        async with running(post) as here:
            (bad,) = post.send(b"{")
            await here.until(lambda: "cannot be dead-lettered" in caplog.text)
            post.rights(post.letters, publisher=airflow)
            found: list[Any] = []
            await here.until(lambda: found.extend(post.taken(post.buried)) or found)
            assert found[0].attributes["gcp_jobs_message_id"] == bad

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())
    assert "not allowed to dead-letter events" in caplog.text
    assert post.letters in caplog.text
    assert (
        f"{airflow} (Airflow's connection 'google_cloud_default') needs roles/pubsub.publisher" in caplog.text
    )


def test_after_a_burst_comes_an_event_for_what_airflow_may_have_left_behind(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "FLUSH_S", 2.0)

    async def story() -> None:
        async with running(post) as here:
            post.orders(0, 1)
            await here.until(lambda: here.ids == ["0"])
            post.orders(1, 1)
            await here.until(lambda: here.ids == ["0", "1"])
            await here.until(lambda: here.empty == 1)

    asyncio.run(story())
