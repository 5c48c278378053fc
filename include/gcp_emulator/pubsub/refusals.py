"""What Pub/Sub refuses, in Google's words where they are known.

ApiError
├── OutOfRange
└── Unimplemented
"""

from grpc import StatusCode

from gcp_emulator.errors import (
    AlreadyExists,
    ApiError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)


class OutOfRange(ApiError):
    code = StatusCode.OUT_OF_RANGE


class Unimplemented(ApiError):
    """Google has it and this emulator does not."""

    code = StatusCode.UNIMPLEMENTED

    @classmethod
    def feature(cls, name: str, instead: str) -> "Unimplemented":
        return cls(f"{name}: the embedded Google Cloud does not have this; {instead}.")


def missing(name: str) -> NotFound:
    return NotFound(f"Resource not found (resource={name.rpartition('/')[2]}).")


def exists(name: str) -> AlreadyExists:
    return AlreadyExists(f"Resource already exists in the project (resource={name.rpartition('/')[2]}).")


def not_authorized() -> PermissionDenied:
    return PermissionDenied("User not authorized to perform this action.")


def bad_name(name: str, field: str = "name") -> InvalidArgument:
    return InvalidArgument(
        f"Invalid resource name given ({field}={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
    )


def detached(name: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"Subscription is detached (resource={name.rpartition('/')[2]}): it receives no messages any more."
    )


def too_large(limit: int) -> InvalidArgument:
    return InvalidArgument(f"Request payload size exceeds the limit: {limit} bytes.")


def out_of_bounds(field: str, value: object, lowest: object, highest: object) -> InvalidArgument:
    return InvalidArgument(
        f"The value for {field} is out of bounds. You passed {value} in the request, but the value must be "
        f"between {lowest} and {highest}."
    )
