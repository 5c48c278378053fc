"""Cloud Monitoring: what jobs used, by Google's own client."""

import time

import pytest
from google.api_core import exceptions as google
from google.cloud import monitoring_v3

MEMORY = "run.googleapis.com/container/memory/utilizations"
CPU = "run.googleapis.com/container/cpu/utilizations"
EVER = {"start_time": {"seconds": 1}, "end_time": {"seconds": 4_000_000_000}}


def series(cloud, wanted, interval=EVER):
    client = cloud.client(monitoring_v3.MetricServiceClient)
    return list(
        client.list_time_series(
            name=f"projects/{cloud.project}", filter=wanted, interval=interval, timeout=10
        )
    )


def test_a_task_tells_what_share_of_its_limits_it_used(cloud):
    """Advice on memory and CPU is made of these: wrong figures would have users cut what they need."""
    began = int(time.time())
    job = cloud.create_job("used", "sleep=0.3")
    cloud.run(job)
    wanted = 'metric.type = "{}" AND resource.type = "cloud_run_job" AND resource.label.job_name = "used"'
    (memory,) = series(cloud, wanted.format(MEMORY))
    assert memory.resource.labels["location"] == cloud.region
    assert (int(memory.metric_kind), int(memory.value_type)) == (2, 5)  # DELTA, DISTRIBUTION
    (point,) = memory.points
    share = point.value.distribution_value
    assert share.count == 1
    assert 0.001 < share.mean < 0.5
    held = next(n for n, count in enumerate(share.bucket_counts) if count)
    assert (held - 1) / 100 <= share.mean <= held / 100
    assert point.interval.start_time.timestamp() >= began
    (cpu,) = series(cloud, wanted.format(CPU))
    assert 0 < cpu.points[0].value.distribution_value.mean <= 1
    before = {"start_time": {"seconds": 1}, "end_time": {"seconds": began}}
    assert series(cloud, wanted.format(CPU), before) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ('resource.type = "cloud_run_job"', "single metric type"),
        (f'metric.type = "{CPU}" OR resource.type = "x"', "joined by AND"),
    ],
)
def test_a_filter_that_it_does_not_know_is_refused(cloud, wanted, words):
    """Silence would read as: nothing was used."""
    with pytest.raises(google.InvalidArgument, match=words):
        series(cloud, wanted)
