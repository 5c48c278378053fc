"""Tells Pub/Sub topics about new states of jobs and tasks.

https://cloud.google.com/batch/docs/enable-notifications says what is wanted. The attributes are those that consumers of
real notifications read; the body, which none is known to read, is the text of the status event.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from gcp_emulator.batch.names import task_uid
from gcp_emulator.batch.states import JobState, TaskState
from gcp_emulator.batch.status import OPERATIONAL_INFO, add_event
from gcp_emulator.errors import ApiError
from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.pubsub.names import project_of
from gcp_emulator.run.names import region, short

log = logging.getLogger(__name__)
JOB_STATE_CHANGED, TASK_STATE_CHANGED = 1, 2  # JobNotification.Type


class Topics(Protocol):
    """A Pub/Sub to publish to."""

    def publish(self, topic: str, messages: Sequence[Outgoing], *, caller: str) -> object:
        """Publish to `projects/p/topics/t` as this identity; ApiError where that cannot be."""


class Notifier:
    """Publishes what jobs ask for, as each job's own identity, or to another project's topic as Batch's `agent`.

    Either needs the right to. A topic that cannot be had never stops a job: an event of the job says so, once.
    """

    def __init__(self, pubsub: Topics, agent: str) -> None:
        self._pubsub = pubsub
        self._agent = agent
        self._warned: set[str] = set()

    def job_changed(self, job: Any, text: str) -> None:
        """The job has a new state; `text` is that of its event."""
        state = JobState(job.status.state)
        attributes = {
            "JobName": job.name,
            "JobUID": job.uid,
            "NewJobState": state.name,
            "Region": region(job.name),
            "Type": "JOB_STATE_CHANGED",
        }
        for topic in _wanted(job, JOB_STATE_CHANGED, state):
            self._publish(job, topic, attributes, text)

    def task_changed(self, job: Any, task: Any, text: str) -> None:
        """One of the job's tasks has a new state."""
        state = TaskState(task.status.state)
        attributes = {
            "JobUID": job.uid,
            "NewTaskState": state.name,
            "Region": region(job.name),
            "TaskName": task.name,
            "TaskUID": task_uid(job.uid, int(short(task.name))),
            "Type": "TASK_STATE_CHANGED",
        }
        for topic in _wanted(job, TASK_STATE_CHANGED, state):
            self._publish(job, topic, attributes, text)

    def _publish(self, job: Any, topic: str, attributes: dict[str, str], text: str) -> None:
        try:
            ours = topic.startswith(f"projects/{project_of(job.name)}/")
            caller = job.allocation_policy.service_account.email if ours else self._agent
            self._pubsub.publish(topic, [Outgoing(text.encode(), attributes)], caller=caller)
        except ApiError as error:
            said = f"Failed to publish notifications to {topic}: {error.message}"
            if all(event.description != said for event in job.status.status_events):
                if topic not in self._warned:
                    log.warning("%s and maybe others: %s", job.name, said)
                    self._warned.add(topic)
                add_event(job.status, OPERATIONAL_INFO, said)


def _wanted(job: Any, kind: int, state: JobState | TaskState) -> Iterator[str]:
    """The topics that want to hear of this; a state alone asks for its kind too."""
    field = "new_job_state" if kind == JOB_STATE_CHANGED else "new_task_state"
    for wanted in job.notifications:
        message, only = wanted.message, getattr(wanted.message, field)
        asked = message.type_ == kind or (not message.type_ and only)
        if wanted.pubsub_topic and asked and only in (0, state):
            yield wanted.pubsub_topic
