"""The filter language on log entries, without a server."""

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.filters import check, matches, parse
from gcp_emulator.filters.grammar import And, Anywhere, Compare, Not, Or
from gcp_emulator.messages import LogEntry

ENTRY = json_format.ParseDict(
    {
        "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_job", "labels": {"job_name": "Ingest", "location": "europe-west1"}},
        "timestamp": "2026-03-04T05:06:07.5Z",
        "severity": "WARNING",
        "insertId": "abc",
        "labels": {"run.googleapis.com/execution_name": "ingest-x1", "team": "dogs"},
        "jsonPayload": {
            "message": "loaded 170 breeds",
            "rows": 170,
            "ok": True,
            "nothing": None,
            "list": [{"name": "Akita"}, {"name": "Beagle"}],
            "dotted.key": "v",
        },
        "httpRequest": {"status": 503, "latency": "1.5s"},
        "traceSampled": False,
    },
    LogEntry(),
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'resource.type="cloud_run_job"',
        "resource.type=CLOUD_RUN_JOB",
        "resource.labels.job_name=ingest",
        'labels."run.googleapis.com/execution_name"="ingest-x1"',
        "labels.run.googleapis.com/execution_name=ingest-x1",
        "log_name:stdout",
        'log_id("run.googleapis.com/stdout")',
        'logName="projects/p/logs/run.googleapis.com%2Fstdout"',
        "severity=WARNING",
        "severity>=WARNING",
        "severity>INFO AND severity<ERROR",
        "severity>=400",
        "severity!=INFO",
        "timestamp>=2026-03-04",
        'timestamp>="2026-03-04T05:06:07Z" timestamp<="2026-03-04T06:06:08+01:00"',
        "jsonPayload.rows=170",
        "jsonPayload.rows>=1.7e2",
        "jsonPayload.rows!=171",
        "json_payload.ok=true",
        "jsonPayload.ok:*",
        "jsonPayload.nothing=NULL_VALUE",
        "jsonPayload.list.name=Beagle",
        'jsonPayload."dotted.key"=v',
        "jsonPayload.dotted.key=v",
        'jsonPayload.message:"170 BREEDS"',
        r'jsonPayload.message=~"loaded \d+"',
        'jsonPayload.message!~"lost"',
        "jsonPayload.message=~^loaded",
        "httpRequest.status>=500",
        'httpRequest.latency>"1s"',
        "breeds",
        '"170 breeds"',
        "503",
        "europe-west1",
        'SEARCH("breeds loaded")',
        "NOT nowhere",
        "-nowhere",
        "NOT trace:*",
        "missing OR breeds",
        "missing OR breeds AND NOT missing OR Akita",
        "resource.labels.location:(europe OR asia)",
        "labels.team=(cats OR dogs)",
        "labels:dogs",
        "(severity=INFO OR severity=WARNING) breeds -- a comment",
        "severity=WARNING\n\nbreeds",
    ],
)
def test_these_filters_find_the_entry(text):
    node = parse(text)
    check(node, LogEntry)
    assert matches(node, ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        "severity>WARNING",
        "severity=INFO",
        "resource.type=cloud_run_revision",
        "labels.team!=dogs",
        "labels.absent=x",
        "labels.absent!=x",
        "jsonPayload.absent>1",
        "jsonPayload.rows=text",
        "jsonPayload.rows:*x",
        'jsonPayload.message=~"^breeds"',
        "jsonPayload.message=~LOADED",
        "timestamp<2026-03-04",
        'log_id("stdout")',
        "breeds AND missing",
        "NOT breeds",
        "NOT (breeds OR missing)",
        "textPayload:*",
        'jsonPayload.message="loaded"',
        "resource.labels.location:(africa OR asia)",
        "httpRequest.latency<1s",
        "trace_sampled=true",
    ],
)
def test_these_filters_do_not(text):
    node = parse(text)
    check(node, LogEntry)
    assert not matches(node, ENTRY)


def test_not_binds_closest_then_or_then_and():
    a, b, c, d = (Anywhere(name) for name in "abcd")
    assert parse("a OR NOT b AND NOT c OR d") == And((Or((a, Not(b))), Or((Not(c), d))))
    assert parse("a b OR c") == And((a, Or((b, c))))


def test_texts_keep_what_they_quote():
    assert parse(r'textPayload="a \"b\" \\ \n ü"') == Compare(("textPayload",), "=", 'a "b" \\ \n ü')
    assert parse("textPayload='it''s'")
    assert parse(r'textPayload=~"\d+\.\d"') == Compare(("textPayload",), "=~", r"\d+\.\d")
    assert parse("jsonPayload.n=-5") == Compare(("jsonPayload", "n"), "=", "-5", quoted=False)


@pytest.mark.parametrize("text", ["a =", "(a", "a)", "OR a", 'a = "open', "a ==b", "NOT", "a..b=1", 'a=~"("'])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InvalidArgument, match="Unparseable filter"):
        parse(text)


@pytest.mark.parametrize("text", ["unknown=1", "sample(insertId, 0.5)", "a OR NOT unknown:x"])
def test_what_entries_never_have_is_refused(text):
    with pytest.raises(InvalidArgument, match="Unparseable filter"):
        check(parse(text), LogEntry)


WORDS = st.sampled_from(
    ['"', "'", "(", ")", "AND", "OR", "NOT", "-", ":", "=", "=~", ">=", ".", "a", "severity", "\\", " "]
)


@given(st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_is_read_or_refused(text):
    """A user's typing mistake must never be an internal error."""
    try:
        node = parse(text)
        check(node, LogEntry)
        matches(node, ENTRY)
    except InvalidArgument:
        pass


@given(st.text(max_size=20))
def test_a_quoted_text_finds_itself(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    entry = LogEntry(text_payload=text)
    if text:
        assert matches(parse(f'textPayload="{escaped}"'), entry)
