"""What an entry of Cloud Logging says: whose it is, when it was written, how it reads as a line.

Entries are bare protobuf messages (google.logging.v2.LogEntry): a thousand come in one answer, and the wrapper that
the client library puts around each costs more than all that is done with them here.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gcp_jobs.model import JobRef

LONGEST_LINE = 8_000
EXECUTION = "run.googleapis.com/execution_name"
TASK = "run.googleapis.com/task_index"
# https://cloud.google.com/batch/docs/analyze-job-using-logs
BATCH_LOG = "batch_task_logs"
BATCH_JOB = "job_uid"
AUDIT = "cloudaudit.googleapis.com"
BATCH_TASK = "task_id"  # <job uid>-group0-<index>


def key_of(ref: JobRef) -> str:
    """Give the key that a run's entries have, see `owner_of`."""
    return ref.uid if ref.on_batch else f"{ref.region}/{ref.run}"


def owner_of(entry: Any) -> str:
    """Give the key of the run that wrote an entry, empty for an entry of something else."""
    log = entry.log_name.rpartition("/logs/")[2]
    if log == BATCH_LOG:
        return str(entry.labels.get(BATCH_JOB, ""))
    execution = "" if log.startswith(AUDIT) else entry.labels.get(EXECUTION, "")
    return f"{entry.resource.labels.get('location', '')}/{execution}" if execution else ""


def from_json(data: bytes) -> Any | None:
    """Read an entry as log sinks write it; None for what is no entry of a job's."""
    from google.cloud.logging_v2.types import LogEntry
    from google.protobuf.json_format import ParseDict, ParseError

    try:
        found = json.loads(data)
        if not found["labels"].keys() & {BATCH_JOB, EXECUTION} or "protoPayload" in found:
            return None
        return ParseDict(found, LogEntry.pb(LogEntry()), ignore_unknown_fields=True)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ParseError):
        return None


def stamp_of(entry: Any) -> int:
    """Give the time of an entry in epoch nanoseconds."""
    return int(entry.timestamp.seconds) * 10**9 + int(entry.timestamp.nanos)


def id_of(entry: Any) -> str:
    """Give what tells an entry from others of the same time: Google's own rule is time and insertId."""
    return entry.insert_id or f"{stamp_of(entry)} {text(entry)[:80]}"


def task_of(labels: Mapping[str, str]) -> str:
    """Give the index of the task that wrote an entry: a label on Cloud Run, the end of the task's id on Batch."""
    return labels.get(TASK) or labels.get(BATCH_TASK, "").rpartition("-")[2]


def level(severity: int) -> int:
    """Map google.logging.type.LogSeverity (0, 100 ... 800) to Python's levels."""
    if severity >= 600:
        return logging.CRITICAL
    if severity >= 500:
        return logging.ERROR
    if severity >= 400:
        return logging.WARNING
    return logging.DEBUG if severity == 100 else logging.INFO


def text(entry: Any) -> str:
    """Render an entry as one line: its message, then the other fields as key=value."""
    if not entry.HasField("json_payload"):
        return _cut(entry.text_payload.rstrip("\n"))
    from google.protobuf.json_format import MessageToDict

    payload = MessageToDict(entry.json_payload)
    message = payload.pop("message", "")
    fields = " ".join(
        f"{key}={_plain(value)}" for key, value in sorted(payload.items()) if key not in ("severity", "time")
    )
    return _cut(f"{message} {fields}".strip())


def rfc3339(nanoseconds: int) -> str:
    """Write epoch nanoseconds as filters want them."""
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_whole(value), ensure_ascii=False)


def _whole(value: Any) -> Any:
    """A Struct knows floats only: whole ones are shown without a point."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}... ({len(line)} characters)"
