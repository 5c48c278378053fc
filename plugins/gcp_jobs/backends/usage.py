"""What a run used, by Cloud Monitoring, where that can be read at once. Never in the way: no answer is an answer.

Cloud Run tells shares of the limits, by job and not by execution: executions of one job that overlap are one. A Batch
job's machines tell of their memory where Google's Ops Agent runs on them. Google samples once a minute and shows it up
to two minutes later, so of a short run there is nothing to tell.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gcp_jobs import clients
from gcp_jobs.clients import Access
from gcp_jobs.errors import GcpJobsError
from gcp_jobs.model import JobSpec, JobStatus
from gcp_jobs.quantity import memory_bytes
from gcp_jobs.settings import settings
from gcp_jobs.usage import Usage, cpus_of

READ_S = 1.0
# https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
_RUN = "run.googleapis.com/container"
# https://cloud.google.com/monitoring/api/metrics_opsagent#agent-memory, .../metrics_gcp_c#gcp-compute
_VM_MEMORY = 'metric.type = "agent.googleapis.com/memory/bytes_used" AND metric.labels.state = "used"'
_VM_CPU = 'metric.type = "compute.googleapis.com/instance/cpu/usage_time"'
log = logging.getLogger(__name__)


def usage_of(status: JobStatus, spec: JobSpec, access: Access) -> Usage:
    """Read what a terminal run used; whatever stands in the way, and a job of several containers, give nothing.

    Takes two reads of a second at most.
    """
    here = settings()
    emulated = here.batch_emulator_host if status.ref.on_batch else here.cloud_run_emulator_host
    if status.started is None or spec.containers or (emulated and not here.monitoring_emulator_host):
        return Usage()
    try:
        return _batch(status, access) if status.ref.on_batch else _cloud_run(status, spec, access)
    except GcpJobsError as error:
        log.debug("What %s used is not known: %s", status.ref, error)
    except Exception as error:
        # credentials, a library without this API: advice is the last thing to fail a job for
        log.debug("What %s used is not known: %s: %s", status.ref, type(error).__name__, error)
    return Usage()


def _cloud_run(status: JobStatus, spec: JobSpec, access: Access) -> Usage:
    of = (
        f'resource.type = "cloud_run_job" AND resource.labels.job_name = "{status.ref.job}"'
        f' AND resource.labels.location = "{status.ref.region}"'
    )
    shares = [
        _most(p) for p in _points(status, f'metric.type = "{_RUN}/memory/utilizations" AND {of}', access)
    ]
    busy = [
        (p.count, p.mean)
        for p in _histograms(_points(status, f'metric.type = "{_RUN}/cpu/utilizations" AND {of}', access))
    ]
    return Usage(
        round(max(shares) * memory_bytes(spec.memory)) if shares else None,
        cpus_of(spec) * sum(n * mean for n, mean in busy) / sum(n for n, _ in busy) if busy else None,
    )


def _batch(status: JobStatus, access: Access) -> Usage:
    # https://cloud.google.com/batch/docs/organize-resources-using-labels#predefined-labels
    of = f'resource.type = "gce_instance" AND metadata.user_labels."batch-job-uid" = "{status.ref.uid}"'
    held = [point.value.double_value for point in _points(status, f"{_VM_MEMORY} AND {of}", access)]
    spent = [
        (p.value.double_value, _seconds(p.interval)) for p in _points(status, f"{_VM_CPU} AND {of}", access)
    ]
    seconds = sum(length for _, length in spent)
    return Usage(
        round(max(held)) if held else None, sum(used for used, _ in spent) / seconds if seconds else None
    )


def _points(status: JobStatus, wanted: str, access: Access) -> Iterator[Any]:
    """The points between a run's start and its end, as bare messages."""
    from google.cloud.monitoring_v3.types import ListTimeSeriesRequest

    from gcp_jobs.backends.refusal import explained

    project = f"projects/{status.ref.project}"
    request = ListTimeSeriesRequest(name=project, filter=wanted)
    interval = ListTimeSeriesRequest.pb(request).interval
    interval.start_time.FromDatetime(status.started)
    if status.ended:
        interval.end_time.FromDatetime(status.ended + timedelta(milliseconds=1))  # Google keeps microseconds
    else:
        interval.end_time.GetCurrentTime()
    api = clients.client("MetricService", replace(access, transport="grpc", endpoint_region=""))
    with explained("read what it used", project, "roles/monitoring.viewer"):
        page = next(iter(api.list_time_series(request, timeout=READ_S, retry=None).pages))
    for series in type(page).pb(page).time_series:
        yield from series.points


def _histograms(points: Iterable[Any]) -> Iterator[Any]:
    return (p.value.distribution_value for p in points if p.value.distribution_value.count)


def _most(point: Any) -> float:
    """The upper bound of the highest bucket that holds something; of a single value the value itself."""
    found = point.value.distribution_value
    if found.count <= 1:
        return float(found.mean)
    last = max((n for n, count in enumerate(found.bucket_counts) if count), default=0)
    options = found.bucket_options
    kind = options.WhichOneof("options")
    if kind == "linear_buckets":
        bound = options.linear_buckets.offset + options.linear_buckets.width * last
    elif kind == "exponential_buckets":
        bound = options.exponential_buckets.scale * options.exponential_buckets.growth_factor**last
    else:
        bounds = options.explicit_buckets.bounds
        bound = bounds[min(last, len(bounds) - 1)] if bounds else found.mean
    return float(min(bound, 1.0))


def _seconds(interval: Any) -> float:
    start, end = interval.start_time, interval.end_time
    return float(end.seconds - start.seconds + (end.nanos - start.nanos) / 1e9)
