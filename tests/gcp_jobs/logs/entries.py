"""Entries as Cloud Logging gives them, made here."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.logging_v2.types import LogEntry

from gcp_jobs.logs.cursor import Cursor
from gcp_jobs.logs.lines import Lines
from gcp_jobs.model import JobRef

START = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
REF = JobRef("cloud_run", "local-project", "europe-west1", "j", "j-1")


def entry(key: str, seconds: float = 0, line: str | None = None, **fields: Any) -> Any:
    """A bare entry, so many seconds after the start of time."""
    if "json_payload" not in fields:
        fields["text_payload"] = line or f"line {key}"
    made = LogEntry(insert_id=key, timestamp=START + timedelta(seconds=seconds), **fields)
    return LogEntry.pb(made)


def lines_into(
    said: list[str], cursor: Cursor | None = None, *, most: int = 10**6, show_task: bool = False
) -> Lines:
    """Lines that end in a list."""
    return Lines(REF, lambda _, line: said.append(line), cursor or Cursor(), show_task=show_task, most=most)
