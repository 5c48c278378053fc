"""Everything that ends a run, and the exit code that it means.

Exception
└── IngestionError            x  ends the run with `exit_code`
    ├── ConfigurationError    3  a setting, key or right is wrong; running again changes nothing
    ├── SourceError           4  the API is away or answers nonsense; run again later
    │   └── TransientError    4  worth another attempt within this run
    ├── DestinationError      5  the database is away or refuses; run again later
    └── RejectedError         6  too many records could not be used
BaseException
└── Stopped                 143  SIGTERM or SIGINT
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; 0 only when the load is complete."""

    COMPLETE = 0
    UNEXPECTED = 1
    CONFIGURATION = 3
    SOURCE = 4
    DESTINATION = 5
    REJECTED = 6
    STOPPED = 143


class IngestionError(Exception):
    """Ends the run; the text says what happened, where, and what to do."""

    exit_code = ExitCode.UNEXPECTED


class ConfigurationError(IngestionError):
    """A setting is wrong; names the variable, its value and the fix."""

    exit_code = ExitCode.CONFIGURATION


class SourceError(IngestionError):
    """The API could not be read."""

    exit_code = ExitCode.SOURCE


class TransientError(SourceError):
    """May pass by itself; `retry_after_s` is how long the API asked to be left alone, if it did."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DestinationError(IngestionError):
    """The rows could not be stored."""

    exit_code = ExitCode.DESTINATION


class RejectedError(IngestionError):
    """More records than the set share could not be used."""

    exit_code = ExitCode.REJECTED


class Stopped(BaseException):
    """Asked to stop; no Exception, so that no retry and no handler in between swallows it."""

    exit_code = ExitCode.STOPPED
