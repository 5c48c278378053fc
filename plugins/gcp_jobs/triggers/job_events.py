"""Watches a subscription for events that start jobs; each is acknowledged only after its asset event is stored."""

import hashlib
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import SharedStreamProducer

from gcp_jobs.clients import Access
from gcp_jobs.event_rules.model import Rule
from gcp_jobs.settings import Settings
from gcp_jobs.triggers.intake import Intake
from gcp_jobs.triggers.mailbox import Mailbox


class JobEventTrigger(BaseEventTrigger):
    """
    Fires {"starts": [Start, ...]} for events that rules want, up to a hundred at once; others are dead-lettered.

    The rules travel in the trigger: a triggerer need not have the files, and a changed rule is a new trigger.

    :param subscription: full name
    :param rules: JSON list of what Rule.compact gives; Airflow 3.3 loses watchers whose arguments are nested
    :param dead_letter_topic: full name of the topic for events that start nothing
    :param gcp_conn_id: Airflow connection to Google Cloud
    :param per_minute: events taken a minute
    :param in_hand: events that may be taken and not acknowledged yet
    """

    def __init__(
        self,
        subscription: str,
        rules: str,
        dead_letter_topic: str,
        gcp_conn_id: str,
        per_minute: float,
        in_hand: int,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.subscription, self.rules, self.dead_letter_topic = subscription, rules, dead_letter_topic
        self.gcp_conn_id, self.per_minute, self.in_hand = gcp_conn_id, per_minute, in_hand

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments: a triggerer rebuilds the trigger from these alone."""
        names = ("subscription", "rules", "dead_letter_topic", "gcp_conn_id", "per_minute", "in_hand")
        return "gcp_jobs.triggers.job_events.JobEventTrigger", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> Hashable:
        """Have Airflow run this in ack mode, which it does for shared streams; equal triggers share one."""
        text = json.dumps(self.serialize(), sort_keys=True)
        return (self.subscription, hashlib.sha256(text.encode()).hexdigest())

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Give what pulls and acknowledges; it opens nothing yet."""
        access = Access(kwargs["gcp_conn_id"])
        mailbox = Mailbox(kwargs["subscription"], kwargs["dead_letter_topic"], access)
        return Intake(mailbox, kwargs["rules"], kwargs["per_minute"], kwargs["in_hand"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire for whatever the intake gives."""
        async for starts in shared_stream:
            yield TriggerEvent(starts)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse: without ack mode an event could be lost, and Airflow before 3.3 has none."""
        raise RuntimeError("JobEventTrigger needs a triggerer with shared streams (Airflow 3.3 or later)")
        yield


def triggers(rules: Sequence[Rule], here: Settings) -> dict[str, JobEventTrigger]:
    """Give a trigger for each subscription that rules name, under its own short name."""
    wanted: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        name = here.subscription_name(rule.source.subscription or here.event_subscription)
        wanted.setdefault(name, []).append(rule.compact())
    letters, connection = here.event_dead_letter_topic_name, here.gcp_conn_id
    return {
        name.rpartition("/")[2]: JobEventTrigger(
            name, json.dumps(its), letters, connection, here.events_per_minute, here.events_in_hand
        )
        for name, its in wanted.items()
    }
