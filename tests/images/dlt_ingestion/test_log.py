"""Log lines: JSON that Cloud Logging understands, and never a secret in them."""

import io
import json
import logging

import pytest

from dlt_ingestion.log import JsonLines, adopt_dlt

SECRET = 's3"cr\\et'


@pytest.fixture
def lines() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(SECRET))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


def test_a_line_has_severity_time_logger_message_and_fields(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = lines
    logger.warning("%d pages\nread", 3, extra={"fields": {"rows": 7}})
    line = json.loads(stream.getvalue())
    assert line | {"time": ""} == {
        "severity": "WARNING",
        "time": "",
        "logger": "test",
        "message": "3 pages\nread",
        "rows": 7,
    }
    assert line["time"].endswith("Z")
    assert stream.getvalue().count("\n") == 1


def test_a_secret_is_blotted_out_of_messages_fields_and_tracebacks(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = lines
    try:
        raise ValueError(f"bad key {SECRET}")
    except ValueError:
        logger.exception("key %s", SECRET, extra={"fields": {"key": SECRET}})
    line = json.loads(stream.getvalue())
    assert "cr" + "\\" not in stream.getvalue().replace("crit", "")
    assert line["message"] == "key <hidden>"
    assert line["key"] == "<hidden>"
    assert "bad key <hidden>" in line["traceback"]


def test_dlt_speaks_through_the_same_lines() -> None:
    """Two schemas in one log would hide dlt's warnings from a filter by severity."""
    logger = logging.getLogger("dlt")
    before = (list(logger.handlers), logger.propagate)
    try:
        logger.addHandler(logging.NullHandler())
        adopt_dlt()
        assert not logger.handlers
        assert logger.propagate
    finally:
        logger.handlers[:], logger.propagate = before
