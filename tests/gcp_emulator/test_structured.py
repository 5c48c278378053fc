"""One line of output becomes one log entry, whatever it holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_emulator.logs.structured import write_line
from gcp_emulator.messages import LogEntry

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SPECIAL = st.sampled_from(
    [
        "severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", "httpRequest",
        *(f"logging.googleapis.com/{n}" for n in ("labels", "trace", "spanId", "operation", "sourceLocation")),
        "logging.googleapis.com/trace_sampled", "logging.googleapis.com/insertId",
    ]
)  # fmt: skip


def read(line):
    entry = LogEntry(log_name="projects/p/logs/l")
    write_line(entry, line)
    return entry


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_kept(line):
    entry = read(line)
    assert entry.WhichOneof("payload") == "json_payload" or entry.text_payload == line


@given(st.dictionaries(SPECIAL | st.text(), JSON, max_size=5))
def test_any_object_becomes_an_entry(fields):
    """A program may log anything: a line must neither get lost nor stop the task's log."""
    assert read(json.dumps(fields)).WhichOneof("payload")


@pytest.mark.parametrize(
    "line", ['{"a": "\\ud800"}', '{"a": 1' + "0" * 400 + "}", "[" * 10_000, '{"a":' * 500 + "1" + "}" * 500]
)
def test_what_protobuf_cannot_hold_stays_text(line):
    assert read(line).text_payload == line


@pytest.mark.parametrize(
    ("fields", "seconds", "nanos"),
    [
        ({"time": "2026-01-01T00:00:00.5Z"}, 1767225600, 500_000_000),
        ({"timestamp": {"seconds": 5, "nanos": 7}}, 5, 7),
        ({"timestampSeconds": 5, "timestampNanos": 7}, 5, 7),
        ({"timestampSeconds": "5"}, 5, 0),
    ],
)
def test_the_time_of_a_line_is_the_entrys(fields, seconds, nanos):
    entry = read(json.dumps({"message": "m", **fields}))
    assert (entry.timestamp.seconds, entry.timestamp.nanos) == (seconds, nanos)
    assert dict(entry.json_payload) == {"message": "m"}


def test_what_is_not_understood_stays_in_the_payload():
    fields = {
        "severity": "LOUD",
        "time": "noon",
        "httpRequest": "GET /",
        "logging.googleapis.com/labels": "none",
    }
    entry = read(json.dumps(fields))
    assert dict(entry.json_payload) == fields
    assert not entry.HasField("timestamp")


def test_requests_and_sources_are_lifted_out():
    entry = read(
        json.dumps(
            {
                "httpRequest": {"requestMethod": "GET", "status": 200},
                "logging.googleapis.com/sourceLocation": {"file": "main.py", "line": "7"},
                "logging.googleapis.com/operation": {"id": "op", "first": True},
            }
        )
    )
    assert (entry.http_request.request_method, entry.http_request.status) == ("GET", 200)
    assert (entry.source_location.file, entry.source_location.line) == ("main.py", 7)
    assert (entry.operation.id, entry.operation.first) == ("op", True)
