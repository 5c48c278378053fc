"""What a publish must look like."""

from collections.abc import Sequence

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.pubsub import limits
from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.pubsub.refusals import too_large


def check(messages: Sequence[Outgoing], request_bytes: int = 0) -> None:
    """InvalidArgument when there is none, too many, or one that breaks a limit."""
    if not messages:
        raise InvalidArgument(
            "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1."
        )
    if len(messages) > limits.MAX_MESSAGES:
        raise InvalidArgument(
            f"The value for message_count is too large. You passed {len(messages)} in the request, but the maximum "
            f"value is {limits.MAX_MESSAGES}."
        )
    if request_bytes > limits.MAX_REQUEST_BYTES:
        raise too_large(limits.MAX_REQUEST_BYTES)
    for message in messages:
        _check_one(message)


def _check_one(message: Outgoing) -> None:
    if not message.data and not message.attributes:
        raise InvalidArgument(
            "One or more messages in the publish request is empty. Each message must contain either non-empty "
            "data, or at least one attribute."
        )
    if len(message.data) > limits.MAX_REQUEST_BYTES:
        raise too_large(limits.MAX_REQUEST_BYTES)
    if message.ordering_key and len(message.ordering_key.encode()) > limits.MAX_ORDERING_KEY:
        raise InvalidArgument(f"An ordering key may not be longer than {limits.MAX_ORDERING_KEY} bytes.")
    if message.attributes:
        _check_attributes(message)


def _check_attributes(message: Outgoing) -> None:
    """https://cloud.google.com/pubsub/docs/publisher#using-attributes"""
    if len(message.attributes) > limits.MAX_ATTRIBUTES:
        raise InvalidArgument(
            f"A message has {len(message.attributes)} attributes, at most {limits.MAX_ATTRIBUTES} are allowed."
        )
    for key, value in message.attributes.items():
        if not key or key.startswith("goog") or len(key.encode()) > limits.MAX_ATTRIBUTE_KEY:
            raise InvalidArgument(
                f"Attribute key '{key}' must have 1 to {limits.MAX_ATTRIBUTE_KEY} bytes and not begin with 'goog'."
            )
        if len(value.encode()) > limits.MAX_ATTRIBUTE_VALUE:
            raise InvalidArgument(
                f"The value of attribute '{key}' has {len(value.encode())} bytes, at most "
                f"{limits.MAX_ATTRIBUTE_VALUE} are allowed."
            )
