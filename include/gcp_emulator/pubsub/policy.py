"""How a subscription treats its messages: what its resource says, in plain numbers."""

from dataclasses import dataclass
from typing import Any

from gcp_emulator.pubsub import limits


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds. No `dead_letter_topic`: failed messages are tried for ever; `expires_after` None: never."""

    ack_deadline: float = limits.DEFAULT_ACK_DEADLINE_S
    retention: float = limits.DEFAULT_RETENTION_S
    retain_acked: bool = False
    ordered: bool = False
    dead_letter_topic: str = ""
    max_attempts: int = limits.DEFAULT_ATTEMPTS
    min_backoff: float = 0.0
    max_backoff: float = 0.0
    expires_after: float | None = None

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failed deliveries: doubling from the least to the most."""
        if not self.min_backoff and not self.max_backoff:
            return 0.0
        return min(self.min_backoff * 2.0 ** min(failures - 1, 30), self.max_backoff)

    def exhausted(self, failures: int) -> bool:
        """Whether a message that failed this often goes to the dead-letter topic."""
        return bool(self.dead_letter_topic) and failures >= self.max_attempts


def policy_of(subscription: Any) -> Policy:
    """Out of a google.pubsub.v1.Subscription whose defaults are filled in."""
    retry, letters = subscription.retry_policy, subscription.dead_letter_policy
    ttl = seconds(subscription.expiration_policy.ttl)
    has_retry = subscription.HasField("retry_policy")
    return Policy(
        ack_deadline=subscription.ack_deadline_seconds,
        retention=seconds(subscription.message_retention_duration),
        retain_acked=subscription.retain_acked_messages,
        ordered=subscription.enable_message_ordering,
        dead_letter_topic=letters.dead_letter_topic,
        max_attempts=letters.max_delivery_attempts,
        min_backoff=seconds(retry.minimum_backoff) if has_retry else 0.0,
        max_backoff=seconds(retry.maximum_backoff) if has_retry else 0.0,
        expires_after=ttl or None,
    )


def seconds(duration: Any) -> float:
    """A google.protobuf.Duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)
