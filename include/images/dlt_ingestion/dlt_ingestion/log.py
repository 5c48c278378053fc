"""Log lines as JSON, one event a line, in the fields that Cloud Logging understands."""

import json
import logging
import sys
import time
import traceback
from typing import Any, TextIO

# https://cloud.google.com/run/docs/logging#special-fields
_SEVERITY = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_HIDDEN = "<hidden>"


class JsonLines(logging.Formatter):
    """{"severity", "time", "logger", "message", ...fields}; `secret` is blotted out wherever it turns up."""

    def __init__(self, secret: str = "") -> None:
        super().__init__()
        self._secret = secret

    def format(self, record: logging.LogRecord) -> str:
        """One line; the fields are what the caller gave as extra={"fields": {...}}."""
        line: dict[str, Any] = {
            "severity": _SEVERITY.get(record.levelno, "DEFAULT"),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        line |= getattr(record, "fields", {})
        return self._blotted(json.dumps(line, ensure_ascii=False, default=str))

    def _blotted(self, text: str) -> str:
        if not self._secret:
            return text
        escaped = json.dumps(self._secret, ensure_ascii=False)[1:-1]
        return text.replace(escaped, _HIDDEN).replace(self._secret, _HIDDEN)


def _matters(record: logging.LogRecord) -> bool:
    """Not what google-auth says of its background question where the account may be used: it works without."""
    return "allowedLocations" not in record.getMessage() and "Regional Access" not in record.getMessage()


def configure(level: int, secret: str = "", stream: TextIO | None = None) -> None:
    """Sends every log line of the process, Python warnings included, to `stream` (stdout) as JSON."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(secret))
    handler.addFilter(_matters)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("dlt_ingestion").setLevel(level)
    logging.captureWarnings(True)


def close() -> None:
    """Ends the log, so that nothing comes behind the last line; google-auth still has threads that would speak."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def adopt_dlt() -> None:
    """Takes dlt's own lines into the one schema: dlt gives its logger a handler once a pipeline is made."""
    logger = logging.getLogger("dlt")
    logger.handlers.clear()
    logger.propagate = True
