"""What BigQuery says when it refuses: reasons as in https://cloud.google.com/bigquery/docs/error-messages."""

import re
from typing import Any

from gcp_emulator.json_api import Refusal

STATUS = {
    "accessDenied": 403,
    "backendError": 503,
    "duplicate": 409,
    "internalError": 500,
    "notFound": 404,
    "notImplemented": 501,
    "rateLimitExceeded": 403,
    "stopped": 400,
}


def of_reason(item: dict[str, str]) -> Refusal:
    """The refusal that an error in a job's status means to a caller who asks for its results."""
    reason = item.get("reason", "invalid")
    return Refusal(STATUS.get(reason, 400), reason, item.get("message", ""), item.get("location", ""))


def invalid(message: str, location: str = "") -> Refusal:
    return Refusal(400, "invalid", message, location)


def invalid_query(message: str, location: str = "query") -> Refusal:
    return Refusal(400, "invalidQuery", message, location)


def not_found(kind: str, name: str, location: str = "") -> Refusal:
    """`kind` is Dataset, Table, Job...; `location` is where it was looked for."""
    where = f" was not found in location {location}" if location else ""
    return Refusal(404, "notFound", f"Not found: {kind} {name}{where}")


def duplicate(kind: str, name: str) -> Refusal:
    return Refusal(409, "duplicate", f"Already Exists: {kind} {name}")


def access_denied(kind: str, name: str, permission: str) -> Refusal:
    """https://cloud.google.com/bigquery/docs/troubleshoot-security: names the missing permission."""
    missing = f"Permission {permission} denied on {kind.lower()} {name} (or it may not exist)."
    return Refusal(403, "accessDenied", f"Access Denied: {kind} {name}: {missing}")


def unsupported(what: str) -> Refusal:
    """Something that BigQuery can and this emulator cannot: refused by name rather than answered wrongly."""
    return Refusal(501, "notImplemented", f"The emulator does not serve {what}.")


# DuckDB's message -> Google's wording, as far as clients or their users read it.
_KNOWN = (
    (r'Referenced column "(.+?)" not found', "Unrecognized name: {0}"),
    (r'does not have a column named "(.+?)"', "Name {0} not found inside the table"),
    (r'Table "(.+?)" does not have a column with name "(.+?)"', "Column {1} is not present in table {0}"),
    (
        r"NOT NULL constraint failed: (?:.*\.)?([^.]+)$",
        "Required field {0} cannot be null",
    ),
    (r"(?:Catalog Error: )?Scalar Function with name (\S+) does not exist", "Function not found: {0}"),
)


def from_duckdb(error: Exception, *, reason: str = "invalidQuery") -> Refusal:
    """A DuckDB error as BigQuery would put it."""
    import duckdb

    text = str(error)
    first = text.split("\n", 1)[0]
    for pattern, wording in _KNOWN:
        if found := re.search(pattern, first):
            return Refusal(400, reason, wording.format(*found.groups()), "query")
    name = _named(first)
    if isinstance(error, duckdb.TransactionException):
        return Refusal(
            400, "invalidQuery", f"Transaction is aborted due to concurrent update: {first}", "query"
        )
    if isinstance(error, duckdb.CatalogException) and "already exists" in first:
        return Refusal(409, "duplicate", f"Already Exists: {name}")
    if isinstance(error, duckdb.CatalogException) and "does not exist" in first:
        return Refusal(404, "notFound", f"Not found: {name}")
    if isinstance(error, duckdb.ParserException):
        return Refusal(400, reason, f"Syntax error: {first}", "query")
    if isinstance(error, duckdb.InterruptException):
        return Refusal(499, "stopped", "Job execution was cancelled: User requested cancellation")
    return Refusal(400, reason, first.partition(" Error: ")[2] or first, "query")


def _named(text: str) -> Any:
    found = re.search(r"(Table|View|Schema|Function|Index) with name \"?([^\"\s!]+)\"?", text)
    return f"{found[1]} {found[2]}" if found else text.partition(" Error: ")[2]
