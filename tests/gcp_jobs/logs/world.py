"""The emulator's Cloud Logging: entries written as jobs would, and followers of them."""

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.logging_v2.types import LogEntry

from gcp_jobs.clients import Access, client
from gcp_jobs.logs import Cursor, Following, Source, source_for
from gcp_jobs.model import JobRef

PROJECT, REGION = "local-project", "europe-west1"


@dataclass
class LogWorld:
    """What these tests do in the emulator."""

    emulator: Any

    def job(self, *, on_batch: bool = True) -> JobRef:
        """A run that nobody started: only its log is real."""
        name = f"j-{uuid.uuid4().hex[:12]}"
        if on_batch:
            return JobRef("batch", PROJECT, REGION, name, uid=f"{name}-uid")
        return JobRef("cloud_run", PROJECT, REGION, name, f"{name}-abcde")

    def write(self, ref: JobRef, lines: Iterable[str], task: int = 0) -> None:
        """Write lines as the run's containers would."""
        self.write_all({ref: lines}, task)

    def write_all(self, lines: Mapping[JobRef, Iterable[str]], task: int = 0) -> None:
        """Write lines of many runs in one call."""
        entries = [_entry(ref, line, task) for ref, its in lines.items() for line in its]
        client("LoggingServiceV2", Access()).write_log_entries(entries=entries)

    async def awrite(self, ref: JobRef, *lines: str, task: int = 0) -> None:
        """Write off the event loop."""
        await asyncio.to_thread(self.write, ref, lines, task)

    def fault(self, kind: str, method: str = "", **fields: Any) -> None:
        if method:
            fields["methods"] = [f"google.logging.v2.LoggingServiceV2/{method}"]
        self._ask("POST", json.dumps({"kind": kind, "seed": 1, **fields}).encode())

    def heal(self) -> None:
        self._ask("DELETE")

    def _ask(self, method: str, body: bytes | None = None) -> None:
        url = f"{self.emulator.url}/emulator/faults"
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).close()


@dataclass
class Followed:
    """A run that a task follows until `end` is set, as JobTrigger does."""

    ref: JobRef
    cursor: Cursor = field(default_factory=Cursor)
    show_task: bool = False
    said: list[str] = field(default_factory=list)
    end: asyncio.Event = field(default_factory=asyncio.Event)
    following: Following | None = None

    async def run(self) -> None:
        """Follow, finish, keep the cursor."""
        lines = the_source().following(
            self.ref, lambda _, line: self.said.append(line), self.cursor, show_task=self.show_task
        )
        async with lines as self.following:
            await self.end.wait()
            await self.following.finish()
            self.cursor = self.following.cursor

    async def finished(self) -> None:
        """End a run that was followed by `run`."""
        self.end.set()
        await self.run()


def the_source() -> Source:
    """The running loop's."""
    return source_for(Access(), PROJECT)


async def eventually(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Let the loop run until the condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def _entry(ref: JobRef, line: str, task: int) -> LogEntry:
    if ref.on_batch:
        return LogEntry(
            log_name=f"projects/{PROJECT}/logs/batch_task_logs",
            resource={"type": "batch.googleapis.com/Job", "labels": {"location": REGION}},
            labels={"job_uid": ref.uid, "task_id": f"{ref.uid}-group0-{task}"},
            text_payload=line,
        )
    return LogEntry(
        log_name=f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout",
        resource={"type": "cloud_run_job", "labels": {"location": REGION, "job_name": ref.job}},
        labels={"run.googleapis.com/execution_name": ref.run, "run.googleapis.com/task_index": str(task)},
        text_payload=line,
    )
