"""The end of the log of an execution, a Batch job, or a task of one."""

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from gcp_emulator.batch.names import job_of, task_uid
from gcp_emulator.logs.structured import SEVERITIES
from gcp_emulator.messages import AuditLog
from gcp_emulator.run.names import project, short
from gcp_emulator.site.markup import Html, document, html, note, table
from gcp_emulator.site.world import World

SHOWN = 500
PLACE = r"projects/[^/]+/locations/[^/]+/jobs/[^/]+"
EXECUTION = re.compile(rf"({PLACE}/executions/([^/]+))(?:/tasks/[^/]*?task(\d+))?")
BATCH = re.compile(rf"({PLACE})(?:/taskGroups/[^/]+/tasks/(\d+))?")
INDEX_LABEL = "run.googleapis.com/task_index"
NAMES = {number: name for name, number in reversed(SEVERITIES.items())}


@dataclass(frozen=True, slots=True)
class LogLines:
    """Whose log: the execution's id or the Batch job's uid, its project ("" is any), and the labels of its entries."""

    world: World
    owner: str
    project: str
    labels: Mapping[str, str]

    @classmethod
    def of(cls, world: World, resource: str) -> "LogLines":
        """By a full resource name, a Batch job's uid or an execution's id. NotFound without such a Batch job."""
        if run := EXECUTION.fullmatch(resource):
            return cls(world, run[2], project(resource), {INDEX_LABEL: run[3]} if run[3] else {})
        if batch := BATCH.fullmatch(resource):
            uid = world.batch.find(job_of(resource)).uid
            labels = {"task_id": task_uid(uid, int(batch[2]))} if batch[2] else {}
            return cls(world, uid, project(resource), labels)
        return cls(world, resource, "", {})

    def table(self) -> Html:
        """The newest lines in the order of time, and how many are before them."""
        count, last = 0, deque[Any](maxlen=SHOWN)
        for kept in self.world.logs.between(None, None, self.owner):
            if self._mine(kept.entry):
                count += 1
                last.append(kept.entry)
        rows = [
            (
                entry.timestamp.ToJsonString(),
                NAMES.get(entry.severity, ""),
                _task(entry),
                _pre(message(entry)),
            )
            for entry in last
        ]
        lines = table(("Time", "Severity", "Task", "Message"), rows)
        left_out = note(f"The last {SHOWN} of {count} lines.") if count > SHOWN else Html("")
        return Html(left_out + lines)

    def _mine(self, entry: Any) -> bool:
        if self.project and project(entry.log_name) != self.project:
            return False
        return all(entry.labels.get(label) == value for label, value in self.labels.items())


def logs_page(world: World, resource: str) -> str:
    """The page as HTML."""
    return document(f"Log of {resource}", LogLines.of(world, resource).table())


def message(entry: Any) -> str:
    """What an entry says, in one text."""
    match entry.WhichOneof("payload"):
        case "json_payload":
            content = json_format.MessageToDict(entry.json_payload)
            text = content.get("message")
            return text if isinstance(text, str) else json.dumps(content, ensure_ascii=False)
        case "proto_payload":
            said = AuditLog()
            entry.proto_payload.Unpack(said)
            return str(said.status.message or said.method_name)
    return str(entry.text_payload)


def _task(entry: Any) -> str:
    return str(entry.labels.get(INDEX_LABEL) or short(entry.labels.get("task_id", "")).rpartition("-")[2])


def _pre(text: str) -> Html:
    return Html(f"<pre>{html(text)}</pre>")
