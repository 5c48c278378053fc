"""Reads one line of output as Cloud Run does: plain text, or JSON with fields that Logging lifts out.

https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
"""

import json
from typing import Any

from google.protobuf import json_format

from gcp_emulator.messages import Timestamp

PREFIX = "logging.googleapis.com/"
SEVERITIES = {
    "DEFAULT": 0, "DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "WARN": 400, "ERROR": 500,
    "CRITICAL": 600, "FATAL": 600, "ALERT": 700, "EMERGENCY": 800,
}  # fmt: skip
PARSED = {
    "httpRequest": "http_request",
    PREFIX + "operation": "operation",
    PREFIX + "sourceLocation": "source_location",
}
TEXTS = {PREFIX + "spanId": "span_id", PREFIX + "trace": "trace", PREFIX + "insertId": "insert_id"}


def write_line(entry: Any, line: str) -> None:
    """Fill an entry's payload, and for a JSON object severity, time, labels, trace and the like."""
    fields = _json_object(line)
    if fields is None:
        entry.text_payload = line
        return
    written = type(entry)()
    written.CopyFrom(entry)
    try:
        _write_fields(written, fields)
    except (json_format.ParseError, ValueError, OverflowError):  # nested too deep, a lone surrogate, 1e999
        entry.text_payload = line
    else:
        entry.CopyFrom(written)


def _write_fields(entry: Any, fields: dict[str, Any]) -> None:
    _lift_severity(entry, fields)
    _lift_time(entry, fields)
    if isinstance(fields.get(PREFIX + "labels"), dict):
        labels = fields.pop(PREFIX + "labels")
        entry.labels.update({key: str(value) for key, value in labels.items()})
    for name, field in TEXTS.items():
        if isinstance(fields.get(name), str):
            setattr(entry, field, fields.pop(name))
    if isinstance(fields.get(PREFIX + "trace_sampled"), bool):
        entry.trace_sampled = fields.pop(PREFIX + "trace_sampled")
    for name, field in PARSED.items():
        if name in fields and _parsed(getattr(entry, field), fields[name]):
            del fields[name]
    json_format.ParseDict(fields, entry.json_payload)


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        fields = json.loads(line, parse_constant=str)  # NaN and Infinity are no JSON: kept as text
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _lift_severity(entry: Any, fields: dict[str, Any]) -> None:
    value = fields.get("severity")
    number = SEVERITIES.get(value.upper()) if isinstance(value, str) else None
    if number is not None:
        del fields["severity"]
        entry.severity = number


def _lift_time(entry: Any, fields: dict[str, Any]) -> None:
    """`time` or `timestamp` as text or {seconds, nanos}, or the pair timestampSeconds and timestampNanos."""
    for name in ("time", "timestamp"):
        if name in fields and _parsed_time(entry, fields[name]):
            del fields[name]
            return
    pair = {"seconds": fields.get("timestampSeconds"), "nanos": fields.get("timestampNanos", 0)}
    if pair["seconds"] is not None and _parsed_time(entry, pair):
        fields.pop("timestampSeconds")
        fields.pop("timestampNanos", None)


def _parsed_time(entry: Any, value: Any) -> bool:
    moment = Timestamp()
    try:
        if isinstance(value, str):
            moment.FromJsonString(value)
        elif isinstance(value, dict) and set(value) <= {"seconds", "nanos"}:
            moment.seconds, moment.nanos = int(value.get("seconds", 0)), int(value.get("nanos", 0))
        else:
            return False
    except (ValueError, TypeError, OverflowError):
        return False
    entry.timestamp.CopyFrom(moment)
    return True


def _parsed(target: Any, value: Any) -> bool:
    try:
        json_format.ParseDict(value, target)
    except (json_format.ParseError, TypeError, AttributeError, ValueError, OverflowError):
        target.Clear()
        return False
    return True
