"""A subscription of this process' own, or one made beforehand, and the streaming pull on it."""

import asyncio
import logging
import re
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from gcp_jobs.clients import Access, async_client
from gcp_jobs.errors import GcpJobsError, NotFound, PermissionRefused, TransientApiError
from gcp_jobs.waiting import Backoff

log = logging.getLogger(__name__)

LEASE_S = 60
RETENTION_S = 600  # the least that Pub/Sub allows
EXPIRY_S = 86_400  # likewise: what a killed process leaves behind is gone after a day
ACK_DELAY_S = 0.05
ACKS = 2_500
HEARTBEAT_S = 30.0
OPEN_S = 1.0  # a stream without a word for so long is open: Google sends nothing before the first message
RETRY_S = 60.0
REMOVE_S = 5.0
TROUBLE_AFTER = 4
_CREATOR = "roles/pubsub.subscriber on the topic and pubsub.subscriptions.create (roles/pubsub.editor) in its project"
_CONSUMER = "roles/pubsub.subscriber on the subscription (pubsub.subscriptions.consume)"

OnMessage = Callable[[Mapping[str, str], bytes], None]


class Stream:
    """Pulls for ever: `run` reconnects until it is cancelled, and then removes what it made.

    :param subscription: full name of one made beforehand, empty to make one
    :param on_message: called with attributes and data of each message, which is then acknowledged
    :param on_change: called when the stream has opened or is in trouble; messages may have been missed before
    :param what: what the messages are
    :param setting: how the names of the settings for topic and subscription begin
    """

    def __init__(
        self,
        access: Access,
        topic: str,
        subscription: str,
        on_message: OnMessage,
        on_change: Callable[[], None],
        *,
        what: str = "jobs' states",
        setting: str = "GCP_JOBS_STATUS",
    ) -> None:
        self.topic, self._given = topic, subscription
        self.subscription = subscription or _own_name(topic)
        self.trouble: GcpJobsError | None = None
        self.open = False
        self.reconnects = 0
        self.settled = asyncio.Event()
        self._access, self._on_message, self._on_change = access, on_message, on_change
        self._what, self._setting = what, setting
        self._made = False
        self.gap = False  # whether somebody may have missed a message, so that opening is worth a sweep
        self._failures = 0
        self._acks: list[str] = []
        self._flush = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        pace = Backoff(0.1, RETRY_S)
        try:
            while True:
                try:
                    api = await async_client("Subscriber", self._access)
                    if not self._given and not self._made:
                        await self._create(api)
                    await self._pull(api)
                    self._closed(None)
                except GcpJobsError as error:
                    self._closed(error)
                if not self._failures:
                    pace.reset()
                await asyncio.sleep(pace.take())
        finally:
            await self._remove()

    async def _create(self, api: Any) -> None:
        from google.api_core.exceptions import AlreadyExists
        from google.pubsub_v1 import types

        wanted = types.Subscription(
            name=self.subscription,
            topic=self.topic,
            ack_deadline_seconds=LEASE_S,
            message_retention_duration={"seconds": RETENTION_S},
            expiration_policy={"ttl": {"seconds": EXPIRY_S}},
            labels={"managed-by": "gcp-jobs"},
        )
        try:
            with _explained(f"subscribe to {self._what}", self.topic, _CREATOR, self._access):
                try:
                    await api.create_subscription(wanted, timeout=30.0, retry=None)
                except AlreadyExists:
                    log.debug("Subscription %s is there already", self.subscription)
        except NotFound as error:
            todo = f"Make it: `gcloud pubsub topics create {self.topic}`, or correct {self._setting}_TOPIC."
            raise NotFound(
                f"the topic of {self._what} does not exist", where=self.topic, todo=todo
            ) from error
        self._made = True

    async def _pull(self, api: Any) -> None:
        loop = asyncio.get_running_loop()
        opening: asyncio.TimerHandle | None = None
        try:
            with _explained(f"pull {self._what}", self.subscription, _CONSUMER, self._access):
                call = await api.streaming_pull(requests=self._requests(), timeout=None, retry=None)
                opening = loop.call_later(OPEN_S, self._opened)
                async for answer in call:
                    self._opened()
                    self._take(type(answer).pb(answer).received_messages)
        except NotFound as error:
            self._made, self.gap = False, True
            todo = (
                f"Make it: `gcloud pubsub subscriptions create {self.subscription} --topic={self.topic}`, "
                f"or correct {self._setting}_SUBSCRIPTION."
            )
            raise NotFound(
                f"the subscription to {self._what} does not exist", where=self.subscription, todo=todo
            ) from error
        finally:
            if opening:
                opening.cancel()

    def _take(self, received: Any) -> None:
        for item in received:
            self._acks.append(item.ack_id)
            self._on_message(item.message.attributes, item.message.data)
        if self._acks:
            self._flush.set()

    async def _requests(self) -> AsyncIterator[Any]:
        """The upward half: the opening, then acknowledgements as they come, or a heartbeat."""
        from google.pubsub_v1.types import StreamingPullRequest

        yield StreamingPullRequest(subscription=self.subscription, stream_ack_deadline_seconds=LEASE_S)
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._flush.wait()
                await asyncio.sleep(ACK_DELAY_S)
            except TimeoutError:
                log.debug("Heartbeat on %s", self.subscription)
            acks, self._acks = self._acks[:ACKS], self._acks[ACKS:]
            if not self._acks:
                self._flush.clear()
            yield StreamingPullRequest(ack_ids=acks)

    def _opened(self) -> None:
        if self.open:
            return
        if self.trouble:
            log.info("Listening to %s again", self.subscription)
        self.open, self.trouble, self._failures = True, None, 0
        gap, self.gap = self.gap, False
        self.settled.set()
        if gap:
            self._on_change()

    def _closed(self, error: GcpJobsError | None) -> None:
        """The stream has ended: as streams do now and then, or for a reason."""
        self.reconnects += 1
        self.open = False
        self._failures = self._failures + 1 if error else 0
        lost = isinstance(error, NotFound) and not self._given and self._failures == 1
        passing = error is None or isinstance(error, TransientApiError) or lost
        if error is None or (passing and self._failures < TROUBLE_AFTER):
            log.debug("The stream of %s has ended: %s", self.subscription, error)
            return
        self.gap = True
        if self.trouble is None or str(self.trouble) != str(error):
            log.error("%s come by lists now, slower: %s", f"{self._what[0].upper()}{self._what[1:]}", error)
            self.trouble = error
            self.settled.set()
            self._on_change()

    async def _remove(self) -> None:
        if not self._made:
            return
        try:
            async with asyncio.timeout(REMOVE_S):
                api = await async_client("Subscriber", self._access)
                with _explained("remove the subscription", self.subscription, _CONSUMER, self._access):
                    await api.delete_subscription(
                        subscription=self.subscription, timeout=REMOVE_S, retry=None
                    )
        except (GcpJobsError, TimeoutError) as error:
            if not isinstance(error, NotFound | PermissionRefused):
                log.warning("Subscription %s expires in a day: %s", self.subscription, error)
        self._made = False


def _explained(doing: str, where: str, role: str, access: Access) -> AbstractContextManager[None]:
    from gcp_jobs.backends.refusal import (
        explained,  # imports Google's libraries: not while triggers are loaded
    )

    return explained(doing, where, role, access)


def _own_name(topic: str) -> str:
    host = re.sub(r"[^a-z0-9-]", "-", socket.gethostname().lower())[:40]
    return f"{topic.partition('/topics/')[0]}/subscriptions/gcp-jobs-{host}-{uuid.uuid4().hex[:12]}"
