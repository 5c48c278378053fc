"""Topics and subscriptions as resources: defaults filled in, rules kept, what is not served refused by name."""

from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.messages import message_class
from gcp_emulator.pubsub import filters, limits
from gcp_emulator.pubsub.names import check_subscription, check_topic
from gcp_emulator.pubsub.policy import seconds
from gcp_emulator.pubsub.refusals import OutOfRange, Unimplemented, out_of_bounds

PUBSUB = "google.pubsub.v1"
Topic = message_class(f"{PUBSUB}.Topic")
Subscription = message_class(f"{PUBSUB}.Subscription")
Snapshot = message_class(f"{PUBSUB}.Snapshot")

ACTIVE = 1  # Topic.State and Subscription.State
PULL = "read it by pull or streaming pull"
TOPIC_REFUSED = {
    "schema_settings": "publish without a schema",
    "ingestion_data_source_settings": "publish the messages yourself",
    "message_transforms": "change the messages where they are published or read",
}
SUBSCRIPTION_REFUSED = {
    "bigquery_config": PULL,
    "cloud_storage_config": PULL,
    "bigtable_config": PULL,
    "enable_exactly_once_delivery": "take messages as delivered at least once",
    "message_transforms": "change the messages where they are published or read",
}


def complete_topic(given: Any) -> Any:
    """A topic as the service keeps it; InvalidArgument or Unimplemented when it cannot be."""
    check_topic(given.name)
    _refuse(given, TOPIC_REFUSED)
    check_labels(given.labels)
    topic = _copy(given)
    for output in ("satisfies_pzs", "tags"):
        topic.ClearField(output)
    topic.state = ACTIVE
    if topic.HasField("message_retention_duration"):
        _check_retention(topic)
    return topic


def complete_subscription(given: Any) -> Any:
    """A subscription as the service keeps it; does not look whether its topics exist."""
    check_subscription(given.name)
    _refuse(given, SUBSCRIPTION_REFUSED)
    check_push(given.push_config)
    check_labels(given.labels)
    filters.read(given.filter)
    subscription = _copy(given)
    for output in ("detached", "topic_message_retention_duration", "analytics_hub_subscription_info", "tags"):
        subscription.ClearField(output)
    subscription.state = ACTIVE
    subscription.push_config.Clear()
    subscription.push_config.SetInParent()
    _complete_deadline(subscription)
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.seconds = limits.DEFAULT_RETENTION_S
    _check_retention(subscription)
    _complete_expiration(subscription)
    if subscription.HasField("dead_letter_policy"):
        _complete_dead_letters(subscription.dead_letter_policy)
    if subscription.HasField("retry_policy"):
        _complete_retry(subscription.retry_policy)
    return subscription


def check_push(config: Any) -> None:
    if config.push_endpoint or config.HasField("oidc_token"):
        raise Unimplemented.feature("push_config: push subscriptions", PULL)


def check_labels(labels: Any) -> None:
    """https://cloud.google.com/resource-manager/docs/labels-overview#requirements"""
    if len(labels) > limits.MAX_LABELS:
        raise InvalidArgument(f"There are {len(labels)} labels, at most {limits.MAX_LABELS} are allowed.")
    for key, value in labels.items():
        if not key or not key[0].isalpha() or not _is_label(key) or not _is_label(value):
            raise InvalidArgument(
                f"Label '{key}={value}' is invalid: keys and values have up to 63 lower-case letters, digits, "
                "dashes and underscores, and keys begin with a letter."
            )


def _is_label(text: str) -> bool:
    return len(text) <= 63 and text == text.lower() and all(c.isalnum() or c in "_-" for c in text)


def _copy(message: Any) -> Any:
    result = type(message)()
    result.CopyFrom(message)
    return result


def _refuse(given: Any, refused: dict[str, str]) -> None:
    present = {field.name for field, _ in given.ListFields()}
    for name, instead in refused.items():
        if name in present:
            raise Unimplemented.feature(name, instead)


def _check_retention(resource: Any) -> None:
    given = seconds(resource.message_retention_duration)
    if not limits.MIN_RETENTION_S <= given <= limits.MAX_RETENTION_S:
        raise out_of_bounds(
            "message_retention_duration",
            f"{given:g}s",
            f"{limits.MIN_RETENTION_S}s",
            f"{limits.MAX_RETENTION_S}s",
        )


def _complete_deadline(subscription: Any) -> None:
    deadline = subscription.ack_deadline_seconds or limits.DEFAULT_ACK_DEADLINE_S
    if not limits.MIN_ACK_DEADLINE_S <= deadline <= limits.MAX_ACK_DEADLINE_S:
        raise out_of_bounds(
            "ack_deadline_seconds", deadline, limits.MIN_ACK_DEADLINE_S, limits.MAX_ACK_DEADLINE_S
        )
    subscription.ack_deadline_seconds = deadline


def _complete_expiration(subscription: Any) -> None:
    """No policy: 31 days; a policy without a time: never."""
    if not subscription.HasField("expiration_policy"):
        subscription.expiration_policy.ttl.seconds = limits.DEFAULT_EXPIRATION_S
    elif subscription.expiration_policy.HasField("ttl"):
        ttl = seconds(subscription.expiration_policy.ttl)
        if ttl < limits.MIN_EXPIRATION_S:
            raise InvalidArgument(
                f"The value for expiration_policy.ttl is too small. You passed {ttl:g}s in the request, but the "
                f"minimum value is {limits.MIN_EXPIRATION_S}s."
            )


def _complete_dead_letters(policy: Any) -> None:
    check_topic(policy.dead_letter_topic, "dead_letter_topic")
    policy.max_delivery_attempts = attempts = policy.max_delivery_attempts or limits.DEFAULT_ATTEMPTS
    side, word, bound = (
        ("small", "minimum", limits.MIN_ATTEMPTS)
        if attempts < limits.MIN_ATTEMPTS
        else ("large", "maximum", limits.MAX_ATTEMPTS)
    )
    if not limits.MIN_ATTEMPTS <= attempts <= limits.MAX_ATTEMPTS:
        raise OutOfRange(
            f"The value for max_delivery_attempts is too {side}. You passed {attempts} in the request, but the "
            f"{word} value is {bound}."
        )


def _complete_retry(policy: Any) -> None:
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = limits.DEFAULT_MIN_BACKOFF_S
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = limits.DEFAULT_MAX_BACKOFF_S
    for name in ("minimum_backoff", "maximum_backoff"):
        given = seconds(getattr(policy, name))
        if not 0 <= given <= limits.MAX_BACKOFF_S:
            raise out_of_bounds(name, f"{given:g}s", "0s", f"{limits.MAX_BACKOFF_S}s")
    least, most = seconds(policy.minimum_backoff), seconds(policy.maximum_backoff)
    if most < least:
        raise InvalidArgument(
            f"The value for maximum_backoff is too small. You passed {most:g}s in the request, but the minimum value "
            f"is {least:g}s."
        )
