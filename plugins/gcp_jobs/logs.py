"""Follows one execution's entries in Cloud Logging into a log, in order, without loss or doubles.

An entry may arrive late, so each look starts a little before the newest entry seen, and entries seen there are
skipped by their insertId. entries.list has a quota of 60 a minute and project: all followers of a process share one
`Pace`, and a follower whose execution is silent looks less often.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

from gcp_jobs.clients import Access, async_client, client
from gcp_jobs.errors import GcpJobsError, TransientApiError
from gcp_jobs.model import JobRef
from gcp_jobs.pace import Pace
from gcp_jobs.settings import settings

FIRST_LOOK_S = 2.0
SILENT_LOOK_S = 20.0
REFUSED_LOOK_S = 60.0
LATE_NS = 15 * 10**9
PAGE = 1000
PAGES_A_LOOK = 5
LONGEST_LINE = 8_000
EXECUTION = "run.googleapis.com/execution_name"
TASK = "run.googleapis.com/task_index"
BATCH_LOG = "batch_task_logs"  # https://cloud.google.com/batch/docs/analyze-job-using-logs
BATCH_TASK = "task_id"  # <job uid>-group0-<index>

Emit = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a log was followed: the newest time (epoch nanoseconds), and the entries near it that are done.

    It travels in triggers and events.
    """

    newest: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers and events."""
        return {"newest": self.newest, "seen": dict(self.seen)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any] | None) -> Self:
        """Read what `to_dict` gave; nothing means the log's beginning."""
        return cls(value["newest"], dict(value["seen"])) if value else cls()


@cache
def shared_pace() -> Pace:
    """Give this process' bucket."""
    return Pace(settings().log_reads_per_minute)


@dataclass(slots=True)
class LogFollower:
    """Follows one execution. `poll` and `apoll` never raise for what the API does: the job matters, not its log."""

    ref: JobRef
    access: Access
    emit: Emit
    cursor: Cursor = field(default_factory=Cursor)
    show_task: bool = False
    pace: Pace = field(default_factory=shared_pace)
    clock: Callable[[], float] = time.monotonic
    _due: float = 0.0
    _every: float = FIRST_LOOK_S
    _warned: bool = False

    def poll(self, *, last: bool = False) -> None:
        """Emit what is new, if it is time to look; `last` looks in any case."""
        if not self._may_look(last):
            return
        try:
            with _explained(self.ref):
                api, token, fresh = client("LoggingServiceV2", self.access), "", False
                for _ in range(PAGES_A_LOOK):
                    page = next(iter(api.list_log_entries(self._request(token), timeout=30.0).pages))
                    fresh = self._accept(page.entries) or fresh
                    token = page.next_page_token
                    if not token:
                        break
            self._rest(fresh)
        except GcpJobsError as error:
            self._refused(error)

    async def apoll(self, *, last: bool = False) -> None:
        """Async form of `poll`."""
        if not self._may_look(last):
            return
        try:
            with _explained(self.ref):
                api, token, fresh = await async_client("LoggingServiceV2", self.access), "", False
                for _ in range(PAGES_A_LOOK):
                    pager = await api.list_log_entries(self._request(token), timeout=30.0)
                    page = await anext(aiter(pager.pages))
                    fresh = self._accept(page.entries) or fresh
                    token = page.next_page_token
                    if not token:
                        break
            self._rest(fresh)
        except GcpJobsError as error:
            self._refused(error)

    def _may_look(self, last: bool) -> bool:
        if last:
            return self.pace.take(borrow=True)
        return self.clock() >= self._due and self.pace.take()

    def _rest(self, fresh: bool) -> None:
        self._every = FIRST_LOOK_S if fresh else min(self._every * 1.5, SILENT_LOOK_S)
        self._due = self.clock() + self._every

    def _refused(self, error: GcpJobsError) -> None:
        passing = isinstance(error, TransientApiError)
        self._every = min(self._every * 2, REFUSED_LOOK_S) if passing else REFUSED_LOOK_S
        self._due = self.clock() + self._every
        if not self._warned:
            self.emit(logging.WARNING, f"The job runs on, its log cannot be read now: {error}")
            self._warned = True

    def _request(self, token: str) -> Any:
        from google.cloud.logging_v2.types import ListLogEntriesRequest

        since = _rfc3339(self.cursor.newest - LATE_NS) if self.cursor.newest else ""
        return ListLogEntriesRequest(
            resource_names=[f"projects/{self.ref.project}"],
            filter=log_filter(self.ref, since),
            order_by="timestamp asc",
            page_size=PAGE,
            page_token=token,
        )

    def _accept(self, entries: Iterable[Any]) -> bool:
        """Emit the entries not seen yet and move the cursor past them."""
        seen, newest, fresh = dict(self.cursor.seen), self.cursor.newest, False
        for entry in entries:
            stamp = _nanoseconds(entry.timestamp)
            key = entry.insert_id or f"{stamp} {text(entry)[:80]}"
            if key in seen:
                continue
            seen[key], newest, fresh = stamp, max(newest, stamp), True
            line = text(entry)
            task = task_of(entry.labels) if self.show_task else ""
            self.emit(level(int(entry.severity)), f"[task {task}] {line}" if task else line)
        if fresh:
            self.cursor = Cursor(newest, {key: at for key, at in seen.items() if at >= newest - LATE_NS})
        return fresh


def tail(ref: JobRef, access: Access, lines: int = 10) -> list[str]:
    """Give the last lines of an execution's log, oldest first; none where the log cannot be read."""
    from google.cloud.logging_v2.types import ListLogEntriesRequest

    request = ListLogEntriesRequest(
        resource_names=[f"projects/{ref.project}"],
        filter=log_filter(ref),
        order_by="timestamp desc",
        page_size=lines,
    )
    shared_pace().take(borrow=True)
    try:
        with _explained(ref):
            page = next(
                iter(client("LoggingServiceV2", access).list_log_entries(request, timeout=30.0).pages)
            )
    except GcpJobsError:
        return []
    return [text(entry) for entry in reversed(list(page.entries)[:lines])]


def log_filter(ref: JobRef, since: str = "") -> str:
    """Build the filter for what a run's containers wrote, from an RFC 3339 time on."""
    parts = (
        [
            f'logName="projects/{ref.project}/logs/{BATCH_LOG}"',
            f'labels.job_uid="{ref.uid}"',
        ]
        if ref.on_batch
        else [
            'resource.type="cloud_run_job"',
            f'resource.labels.job_name="{ref.job}"',
            f'resource.labels.location="{ref.region}"',
            f'labels."{EXECUTION}"="{ref.run}"',
            'NOT logName:"cloudaudit.googleapis.com"',
        ]
    )
    return " AND ".join([*parts, f'timestamp>="{since}"'] if since else parts)


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
    if entry.text_payload or not entry.json_payload:
        return _cut(entry.text_payload.rstrip("\n"))
    payload = dict(entry.json_payload)
    message = payload.pop("message", "")
    fields = " ".join(
        f"{key}={_plain(value)}" for key, value in payload.items() if key not in ("severity", "time")
    )
    return _cut(f"{message} {fields}".strip())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_native(value), ensure_ascii=False)


def _native(value: Any) -> Any:
    """A protobuf Struct's value as JSON has it; its numbers are floats, whole ones are shown without a point."""
    if isinstance(value, Mapping):
        return {str(key): _native(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_native(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}... ({len(line)} characters)"


def _nanoseconds(value: datetime) -> int:
    """Epoch nanoseconds; Google's DatetimeWithNanoseconds has finer digits than a datetime."""
    exact = getattr(value, "nanosecond", 0) or value.microsecond * 1000
    return int(value.replace(microsecond=0).timestamp()) * 10**9 + exact


def _rfc3339(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _explained(ref: JobRef) -> Any:
    from gcp_jobs.backends.refusal import explained

    return explained("read the log", f"projects/{ref.project}", "roles/logging.viewer")
