"""Log lines as JSON, one event a line, in the fields that Cloud Logging understands."""

import json
import logging
import sys
import time
import traceback
from typing import Any

# https://cloud.google.com/run/docs/logging#special-fields
_SEVERITY = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


class JsonLines(logging.Formatter):
    """{"severity", "time", "logger", "message", ...fields}, the fields given as extra={"fields": {...}}."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "severity": _SEVERITY.get(record.levelno, "DEFAULT"),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=False, default=str)


def _matters(record: logging.LogRecord) -> bool:
    """Not what google-auth says of its background question where the account may be used: it works without."""
    return "allowedLocations" not in record.getMessage() and "Regional Access" not in record.getMessage()


def configure() -> None:
    """Sends every log line of the process, Python warnings included, to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    handler.addFilter(_matters)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("dog_breeds_tables").setLevel(logging.INFO)
    logging.captureWarnings(True)
