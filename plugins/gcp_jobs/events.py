"""Pub/Sub message -> JobEvent. Pure. An event is a hint: whoever hears it reads the job's state to be sure.

Two kinds of messages are known: Batch's notifications (https://cloud.google.com/batch/docs/enable-notifications: their
attributes are read wherever they stand, in the message's attributes or in a JSON body), and the audit entry
`system_event` that Cloud Run writes when an execution has ended, as a log sink publishes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gcp_jobs.model import TERMINAL, JobRef, JobState

GOING_ON = frozenset(
    {JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING, JobState.CANCELLATION_IN_PROGRESS}
)
EXECUTION_LABEL = "run.googleapis.com/execution_name"


class Kind(StrEnum):
    """What an event is about."""

    JOB = "JOB_STATE_CHANGED"
    TASK = "TASK_STATE_CHANGED"
    EXECUTION = "EXECUTION_COMPLETED"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What one message says.

    :param keys: under any of these somebody may wait for the run (see `key_of`)
    :param state: Google's word, kept as it came where we do not know it; empty where the message has none
    :param task: the task's full name where the event is a task's
    :param said: the kind as the message has it
    """

    kind: Kind
    keys: tuple[str, ...]
    state: str = ""
    task: str = ""
    said: str = ""

    @property
    def ends(self) -> bool:
        """Whether the run is over, as far as the message knows."""
        return self.kind is not Kind.TASK and self.state in TERMINAL

    @property
    def wakes(self) -> bool:
        """Whether it is worth a read: all but a task's events and states in which a run goes on."""
        return self.kind is not Kind.TASK and self.state not in GOING_ON


def key_of(ref: JobRef) -> str:
    """Give the key under which a run waits: a Batch job's uid (region and id while unknown), an execution's name."""
    if ref.on_batch:
        return ref.uid or _job_key(ref.region, ref.job)
    return ref.run


def parse(attributes: Mapping[str, str], data: bytes = b"") -> JobEvent | None:
    """Read a message; None where it names no run."""
    body = _decoded(data)
    if "protoPayload" in body:
        return _completion(body)
    return _notification({**_plain(body), **_plain(attributes)})


def _notification(found: Mapping[str, str]) -> JobEvent | None:
    task, said = found.get("taskname", ""), found.get("type", "")
    name = found.get("jobname", "") or task.partition("/taskGroups/")[0]
    keys = [found["jobuid"]] if found.get("jobuid") else []
    short = name.rpartition("/jobs/")[2]
    region = name.partition("/locations/")[2].partition("/")[0] or found.get("region", "")
    if short and region:
        keys.append(_job_key(region, short))
    if not keys:
        return None
    kind = _kind(said, found)
    state = found.get("newtaskstate" if kind is Kind.TASK else "newjobstate", "").upper()
    return JobEvent(kind, tuple(keys), state, task, said)


def _kind(said: str, found: Mapping[str, str]) -> Kind:
    if said in (Kind.JOB, Kind.TASK):
        return Kind(said)
    if said:
        return Kind.OTHER
    if "newjobstate" in found:
        return Kind.JOB
    return Kind.TASK if "newtaskstate" in found else Kind.OTHER


def _completion(entry: Mapping[str, Any]) -> JobEvent | None:
    payload = _mapping(entry.get("protoPayload"))
    response = _mapping(payload.get("response"))
    name = (
        _mapping(entry.get("labels")).get(EXECUTION_LABEL)
        or _mapping(response.get("metadata")).get("name")
        or str(payload.get("resourceName", "")).partition("/executions/")[2]
    )
    if not name or not isinstance(name, str):
        return None
    conditions = _mapping(response.get("status")).get("conditions")
    return JobEvent(Kind.EXECUTION, (name,), _outcome(conditions), said=str(payload.get("methodName", "")))


def _outcome(conditions: object) -> str:
    for condition in map(_mapping, conditions if isinstance(conditions, list) else ()):
        if condition.get("type") == "Completed":
            if condition.get("status") == "True":
                return JobState.SUCCEEDED
            cancelled = str(condition.get("reason", "")).lower() == "cancelled"
            failed = JobState.CANCELLED if cancelled else JobState.FAILED
            return failed if condition.get("status") == "False" else ""
    return ""


def _job_key(region: str, job: str) -> str:
    return f"{region}/{job}"


def _decoded(data: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(data)) if data.lstrip()[:1] == b"{" else {}
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(found: Mapping[str, Any]) -> dict[str, str]:
    """The text fields by their names in small letters without underscores: JobUID, jobUid and job_uid are one."""
    return {key.replace("_", "").lower(): value for key, value in found.items() if isinstance(value, str)}
