"""What a service says when it refuses: a gRPC code and Google's wording.

ApiError
├── InvalidArgument
├── NotFound
├── AlreadyExists
├── FailedPrecondition
├── Aborted
├── PermissionDenied
└── Unavailable
"""

from grpc import StatusCode


class ApiError(Exception):
    """A refusal that reaches the caller as this code and message, over gRPC and REST alike."""

    code: StatusCode = StatusCode.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def number(self) -> int:
        """The code's number in google.rpc.Code."""
        return int(self.code.value[0])


class InvalidArgument(ApiError):
    code = StatusCode.INVALID_ARGUMENT

    @classmethod
    def field(cls, path: str, reason: str) -> "InvalidArgument":
        return cls(f"Violation in {path}: {reason}")


class NotFound(ApiError):
    code = StatusCode.NOT_FOUND


class AlreadyExists(ApiError):
    code = StatusCode.ALREADY_EXISTS


class FailedPrecondition(ApiError):
    code = StatusCode.FAILED_PRECONDITION


class Aborted(ApiError):
    code = StatusCode.ABORTED


class PermissionDenied(ApiError):
    code = StatusCode.PERMISSION_DENIED


class Unavailable(ApiError):
    code = StatusCode.UNAVAILABLE


class StartError(Exception):
    """The emulator cannot start: says which option to change."""
