"""What is kept of jobs in a file, so that their records outlive the process; a query's rows do not."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.database import now_ms
from gcp_emulator.bigquery.jobs import Job, Result

FILE = "jobs.sqlite"
CUT_OFF = "Job execution was interrupted: the emulator ended while the job ran. Retrying the job may solve the problem."


class JobRecords:
    """A row a job, in the order in which they were inserted."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS jobs (seq INTEGER PRIMARY KEY, project TEXT, id TEXT, body TEXT, "
            "UNIQUE (project, id))"
        )

    def put(self, job: Job) -> None:
        """As the job is now."""
        with self._lock:
            self._db.execute(
                "INSERT INTO jobs (project, id, body) VALUES (?, ?, ?) "
                "ON CONFLICT (project, id) DO UPDATE SET body = excluded.body",
                (job.project, job.id, json.dumps(_body(job))),
            )

    def remove(self, job: Job) -> None:
        with self._lock:
            self._db.execute("DELETE FROM jobs WHERE project = ? AND id = ?", (job.project, job.id))

    def all(self) -> Iterator[Job]:
        """The oldest first; one that was not done is now, with an error on which Google's clients try again."""
        for project, id_, body in self._db.execute("SELECT project, id, body FROM jobs ORDER BY seq"):
            yield _job(project, id_, json.loads(body))

    def close(self) -> None:
        self._db.close()


PLAIN = (
    "location", "caller", "configuration", "parent", "state", "created", "started", "ended", "statistics", "children",
    "request",
)  # fmt: skip


def _body(job: Job) -> dict[str, object]:
    return {
        **{name: getattr(job, name) for name in PLAIN},
        "error": job.error.item if job.error else None,
        "fields": job.result.fields,
        "table": job.result.table,
    }


def _job(project: str, id_: str, body: dict[str, object]) -> Job:
    made = Job(project, id_, "", "", {})
    for name in PLAIN:
        setattr(made, name, body[name])
    table, error = body["table"], body["error"]
    made.result = Result(body["fields"], table=tuple(table) if table else None, gone=table is None)  # type: ignore[arg-type]
    made.error = errors.of_reason(error) if error else None  # type: ignore[arg-type]
    if made.state != "DONE":
        made.state, made.error = "DONE", errors.of_reason({"reason": "backendError", "message": CUT_OFF})
        made.ended = now_ms()
        made.started = made.started or made.ended
    made.finished.set()
    return made
