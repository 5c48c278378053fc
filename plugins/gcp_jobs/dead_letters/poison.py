"""Pub/Sub messages that nobody could use lie in a subscription of their own: looked at here, never taken.

Google moves them there by the dead-letter policy of the subscription that they came through. Our own streams have
none: they only hint that a job has changed, and its state is read anyway. So what they cannot read is counted and
acknowledged. Events that start no job are published there by us, with the reason.
"""

from typing import Any

from gcp_jobs import clients
from gcp_jobs.backends.refusal import explained
from gcp_jobs.clients import Access
from gcp_jobs.event_rules.judge import CAME_BY, REASON

MOST = 100
_SOURCE = "CloudPubSubDeadLetterSourceSubscription"  # https://cloud.google.com/pubsub/docs/handling-failures
_CONSUMER = "roles/pubsub.subscriber on the subscription"


def messages(subscription: str, access: Access) -> list[dict[str, str]]:
    """Give up to MOST messages of a subscription and put them back: they stay until somebody takes them.

    :param subscription: full name
    :raises ApiError: it cannot be read
    """
    from google.api_core.exceptions import DeadlineExceeded

    api: Any = clients.client("Subscriber", access)
    with explained("look at the dead letters", subscription, _CONSUMER, access):
        try:
            answer = api.pull(subscription=subscription, max_messages=MOST, timeout=5.0, retry=None)
        except DeadlineExceeded:  # nothing came in time
            return []
        if ids := [each.ack_id for each in answer.received_messages]:
            api.modify_ack_deadline(
                subscription=subscription, ack_ids=ids, ack_deadline_seconds=0, timeout=5.0
            )
    return [_brief(each.message) for each in answer.received_messages]


def _brief(message: Any) -> dict[str, str]:
    return {
        "id": message.message_id,
        "from": message.attributes.get(_SOURCE) or message.attributes.get(CAME_BY, ""),
        "reason": message.attributes.get(REASON, "") or "none given",
        "published": message.publish_time.isoformat() if message.publish_time else "",
        "bytes": str(len(message.data)),
    }
