"""Update masks: which fields of a topic or subscription may change, and the resource once they have."""

from collections.abc import Collection
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gcp_emulator.errors import InvalidArgument

TOPIC_FIELDS = frozenset(
    {
        "labels",
        "message_storage_policy",
        "message_retention_duration",
        "schema_settings",
        "ingestion_data_source_settings",
        "message_transforms",
    }
)
SUBSCRIPTION_FIELDS = frozenset(
    {
        "push_config",
        "bigquery_config",
        "cloud_storage_config",
        "bigtable_config",
        "ack_deadline_seconds",
        "retain_acked_messages",
        "message_retention_duration",
        "labels",
        "expiration_policy",
        "dead_letter_policy",
        "retry_policy",
        "enable_exactly_once_delivery",
        "message_transforms",
    }
)
SNAPSHOT_FIELDS = frozenset({"labels", "expire_time"})


def updated(old: Any, given: Any, mask: FieldMask, fields: Collection[str]) -> Any:
    """A copy of `old` with the masked fields of `given`; InvalidArgument for a path that may not change."""
    kind = old.DESCRIPTOR.name
    if not mask.paths:
        raise InvalidArgument(
            f"The update_mask in the Update{kind}Request must be set, and must contain a non-empty paths list."
        )
    for path in mask.paths:
        _check_path(old.DESCRIPTOR, path, kind, fields)
    result = type(old)()
    result.CopyFrom(old)
    # only a field that is set makes its parent exist, so a masked parent that is absent clears the old one
    mask.MergeMessage(given, result, replace_message_field=True, replace_repeated_field=True)
    return result


def _check_path(descriptor: Any, path: str, kind: str, fields: Collection[str]) -> None:
    within = descriptor
    for part in path.split("."):
        field = within.fields_by_name.get(part) if within is not None else None
        if field is None:
            raise InvalidArgument(
                f"Invalid update_mask provided in the Update{kind}Request: {path} is not a known {kind} field. Note "
                "that field paths must be of the form 'push_config' rather than 'pushConfig'."
            )
        within = field.message_type
    if path.partition(".")[0] not in fields:
        raise InvalidArgument(
            f"Invalid update_mask provided in the Update{kind}Request: the {path} field in the {kind} is not mutable."
        )
