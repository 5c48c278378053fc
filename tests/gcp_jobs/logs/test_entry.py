"""What an entry says: whose it is and how it reads."""

import json
import logging

import pytest
from google.cloud.logging_v2.types import LogEntry
from google.protobuf.json_format import MessageToDict
from tests.gcp_jobs.logs.entries import entry

from gcp_jobs.logs.entry import LONGEST_LINE, from_json, id_of, key_of, level, owner_of, text
from gcp_jobs.model import JobRef

RUN = {"run.googleapis.com/execution_name": "j-1"}
PLACE = {"type": "cloud_run_job", "labels": {"location": "europe-west1", "job_name": "j"}}


def test_an_entry_finds_the_run_that_wrote_it() -> None:
    batch = entry("a", log_name="projects/p/logs/batch_task_logs", labels={"job_uid": "u-1"})
    assert owner_of(batch) == key_of(JobRef("batch", "p", "r", "j", uid="u-1")) == "u-1"
    run = entry("b", log_name="projects/p/logs/run.googleapis.com%2Fstdout", labels=RUN, resource=PLACE)
    assert owner_of(run) == key_of(JobRef("cloud_run", "p", "europe-west1", "j", "j-1"))


@pytest.mark.parametrize("log", ["cloudaudit.googleapis.com%2Fsystem_event", "batch_agent_logs", "another"])
def test_what_containers_did_not_write_is_nobodys(log: str) -> None:
    labels = {"job_uid": "u"} if log == "batch_agent_logs" else RUN if "audit" in log else {"a": "b"}
    assert owner_of(entry("a", log_name=f"projects/p/logs/{log}", labels=labels)) == ""


def test_entries_without_an_id_are_told_apart_by_time_and_text() -> None:
    assert (
        len({id_of(entry("", at, line)) for at, line in [(1, "one"), (1, "two"), (2, "one"), (1, "one")]})
        == 3
    )


def test_severities_become_levels() -> None:
    assert [level(s) for s in (0, 100, 200, 300, 400, 500, 600, 800)] == [
        logging.INFO, logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL,
        logging.CRITICAL,
    ]  # fmt: skip


def test_a_structured_entry_is_one_readable_line_and_a_huge_one_is_cut() -> None:
    payload = {"message": "loaded", "rows": 7.0, "tables": ["a", 1], "severity": "INFO"}
    assert text(entry("a", json_payload=payload)) == 'loaded rows=7 tables=["a", 1]'
    huge = text(entry("a", line="x" * 100_000))
    assert len(huge) < LONGEST_LINE + 50
    assert huge.endswith("(100000 characters)")


def test_an_entry_of_a_log_sink_is_the_same_entry() -> None:
    made = entry("a", 1.5, log_name="projects/p/logs/batch_task_logs", labels={"job_uid": "u"}, severity=500)
    data = json.dumps(MessageToDict(made)).encode()
    assert from_json(data) == made


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"\xff", b"{}", b'{"labels": 1}', b'{"labels": {"job_uid": "u"}, "timestamp": "never"}',
     b'{"labels": {"job_uid": "u"}, "protoPayload": {"@type": "unknown"}}'],
)  # fmt: skip
def test_garbage_on_the_topic_is_no_entry(data: bytes) -> None:
    assert from_json(data) is None


def test_bare_messages_are_what_the_library_wraps() -> None:
    assert LogEntry.wrap(entry("a")).insert_id == "a"
