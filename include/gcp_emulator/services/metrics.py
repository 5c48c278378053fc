"""google.monitoring.v3.MetricService, of which ListTimeSeries is all that is here."""

import re
from datetime import UTC, datetime
from typing import Any

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.filters.grammar import And, Compare, parse
from gcp_emulator.messages import MONITORING, message_class
from gcp_emulator.usage import DISTRIBUTIONS, Labels, Sample, Usage

PARENT = re.compile(r"projects/[^/]+")
STEPS = 100  # a share's histogram: so many buckets of one hundredth
GAUGE, DELTA = 1, 2
DOUBLE, DISTRIBUTION = 3, 5
HEADERS = 1
SPELLED = {"label": "labels"}


class MetricService:
    """Answers with raw series: one a metric, resource and set of labels, points newest first."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    async def ListTimeSeries(self, request: Any, call: Call) -> Any:
        if not PARENT.fullmatch(request.name):
            raise InvalidArgument.field("name", f"'{request.name}' is no project such as projects/my-project")
        if not request.interval.HasField("end_time"):
            raise InvalidArgument("Field interval.endTime was required, but was not set.")
        if request.HasField("aggregation") or request.page_token:
            raise InvalidArgument("This emulator neither aggregates time series nor cuts them into pages.")
        wanted = {
            **_wanted(request.filter),
            ("resource", "labels", "project_id"): request.name.partition("/")[2],
        }
        start = request.interval.start_time if request.interval.HasField("start_time") else None
        found = self._usage.find(wanted, start and _moment(start), _moment(request.interval.end_time))
        series: dict[tuple[Any, ...], Any] = {}
        for sample in found:
            key = tuple(sorted(sample.labels.items()))
            if key not in series:
                series[key] = _series(sample.labels)
            if request.view != HEADERS:
                _point(series[key], sample)
        return message_class(f"{MONITORING}.ListTimeSeriesResponse")(time_series=series.values())


def _wanted(text: str) -> Labels:
    """Equalities joined by AND, which must name one metric: https://cloud.google.com/monitoring/api/v3/filters."""
    node = parse(text)
    parts = node.parts if isinstance(node, And) else (node,)
    found = {}
    for part in parts:
        if not isinstance(part, Compare) or part.operator != "=":
            raise InvalidArgument.field("filter", 'this emulator only knows field = "value" joined by AND')
        found[tuple(SPELLED.get(name, name) for name in part.path)] = part.value
    if ("metric", "type") not in found:
        raise InvalidArgument.field("filter", 'must specify a single metric type: metric.type = "..."')
    return found


def _series(labels: Labels) -> Any:
    series = message_class(f"{MONITORING}.TimeSeries")()
    shared = labels["metric", "type"] in DISTRIBUTIONS
    delta = shared or labels["metric", "type"].endswith("usage_time")
    series.metric_kind, series.value_type = DELTA if delta else GAUGE, DISTRIBUTION if shared else DOUBLE
    series.metric.type, series.resource.type = labels["metric", "type"], labels["resource", "type"]
    for path, value in labels.items():
        if len(path) == 3:
            getattr(getattr(series, path[0]), path[1])[path[2]] = value
    return series


def _point(series: Any, sample: Sample) -> None:
    point = series.points.add()
    point.interval.end_time.FromDatetime(sample.end)
    point.interval.start_time.FromDatetime(sample.start if series.metric_kind == DELTA else sample.end)
    if series.value_type == DOUBLE:
        point.value.double_value = sample.value
        return
    histogram = point.value.distribution_value
    histogram.count, histogram.mean = 1, sample.value
    histogram.bucket_options.linear_buckets.num_finite_buckets = STEPS
    histogram.bucket_options.linear_buckets.width = 1 / STEPS
    histogram.bucket_counts.extend([0] * (min(int(sample.value * STEPS), STEPS) + 1) + [1])


def _moment(stamp: Any) -> datetime:
    moment: datetime = stamp.ToDatetime(tzinfo=UTC)
    return moment
