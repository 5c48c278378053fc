"""What a log sink must look like: https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.sinks#LogSink"""

import re
from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.pubsub.names import check_topic
from gcp_emulator.pubsub.refusals import Unimplemented

PUBSUB = "pubsub.googleapis.com/"
ELSEWHERE = {
    "storage.googleapis.com/": "Cloud Storage",
    "bigquery.googleapis.com/": "BigQuery",
    "logging.googleapis.com/": "log buckets and other projects",
}
NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}", re.ASCII)
MAX_FILTER, MAX_EXCLUSIONS = 20_000, 50


def check_sink(sink: Any) -> None:
    """InvalidArgument, or Unimplemented for a destination that only Google has. Filters are read elsewhere."""
    _check_name("sink.name", sink.name)
    _check_destination(sink.destination)
    _check_filter("sink.filter", sink.filter)
    if len(sink.exclusions) > MAX_EXCLUSIONS:
        raise InvalidArgument.field("sink.exclusions", f"a sink has at most {MAX_EXCLUSIONS} exclusions")
    names = [exclusion.name for exclusion in sink.exclusions]
    for exclusion in sink.exclusions:
        _check_name("sink.exclusions.name", exclusion.name)
        _check_filter("sink.exclusions.filter", exclusion.filter)
        if not exclusion.filter.strip():
            raise InvalidArgument.field("sink.exclusions.filter", "an exclusion must have a filter")
        if names.count(exclusion.name) > 1:
            raise InvalidArgument.field("sink.exclusions.name", f"'{exclusion.name}' is there twice")


def _check_name(field: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidArgument.field(
            field,
            f"'{name}' must have 1 to 100 letters, digits, underscores, hyphens and periods, and begin with a letter, "
            "a digit or an underscore",
        )


def _check_destination(destination: str) -> None:
    for prefix, what in ELSEWHERE.items():
        if destination.startswith(prefix):
            raise Unimplemented.feature(
                f"Log sinks to {what}", f"route to a topic: {PUBSUB}projects/P/topics/T"
            )
    if not destination.startswith(PUBSUB):
        raise InvalidArgument.field(
            "sink.destination", f"'{destination}' is no destination such as {PUBSUB}projects/P/topics/T"
        )
    check_topic(destination.removeprefix(PUBSUB), "sink.destination")


def _check_filter(field: str, text: str) -> None:
    if len(text) > MAX_FILTER:
        raise InvalidArgument.field(field, f"a filter has at most {MAX_FILTER} characters")
