"""Everything that ends a run, and the exit code that it means.

Exception
└── TablesError               x  ends the run with `exit_code`
    ├── ConfigurationError    3  a setting is wrong; running again changes nothing
    ├── SourceError           4  the raw table is not there, or too old
    ├── WarehouseError        5  BigQuery is away or refuses; run again later
    └── ChecksFailed          6  rows were quarantined; the tables are as they were
BaseException
├── Stopped                 143  SIGTERM or SIGINT
└── Away                         BigQuery has not answered for too long; becomes a WarehouseError
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; 0 only when all tables are made and every check passed."""

    COMPLETE = 0
    UNEXPECTED = 1
    CONFIGURATION = 3
    SOURCE = 4
    WAREHOUSE = 5
    CHECKS = 6
    STOPPED = 143


class TablesError(Exception):
    """Ends the run; the text says what happened, where, and what to do."""

    exit_code = ExitCode.UNEXPECTED


class ConfigurationError(TablesError):
    """A setting is wrong; names the variable, its value and the fix."""

    exit_code = ExitCode.CONFIGURATION


class SourceError(TablesError):
    """What the tables are made from is not there, or is too old."""

    exit_code = ExitCode.SOURCE


class WarehouseError(TablesError):
    """BigQuery could not be asked, or refused."""

    exit_code = ExitCode.WAREHOUSE


class ChecksFailed(TablesError):
    """Rows are not as they must be."""

    exit_code = ExitCode.CHECKS


class Stopped(BaseException):
    """Asked to stop; no Exception, so that nothing in between swallows it."""

    exit_code = ExitCode.STOPPED


class Away(BaseException):
    """BigQuery does not answer; no Exception, so that nothing in between takes it for one call's failure."""
