"""What tasks used, kept for Cloud Monitoring: one point an attempt, where Google samples once a minute."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gcp_emulator.run.names import project, region
from gcp_emulator.run.quantity import amount
from gcp_emulator.runtime.model import TaskResult

KEPT = 20_000
Labels = Mapping[tuple[str, ...], str]

# https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
RUN_MEMORY = "run.googleapis.com/container/memory/utilizations"
RUN_CPU = "run.googleapis.com/container/cpu/utilizations"
# https://cloud.google.com/monitoring/api/metrics_opsagent#agent-memory, .../metrics_gcp_c#gcp-compute
VM_MEMORY = "agent.googleapis.com/memory/bytes_used"
VM_CPU = "compute.googleapis.com/instance/cpu/usage_time"
DISTRIBUTIONS = frozenset({RUN_MEMORY, RUN_CPU})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series. `labels` have the paths that a filter names them by."""

    labels: Labels
    start: datetime
    end: datetime
    value: float


class Usage:
    """The newest figures of Cloud Run tasks and Batch runnables."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=KEPT)

    def cloud_run(self, task: Any, result: TaskResult) -> None:
        """An attempt of a Cloud Run task: shares of its limits. It is measured as a whole, so sidecars leave it out."""
        seconds = (result.end_time - result.start_time).total_seconds()
        if len(task.containers) != 1 or not seconds:
            return
        limits = task.containers[0].resources.limits
        labels = _resource("cloud_run_job", project(task.name))
        labels["resource", "labels", "location"] = region(task.name)
        labels["resource", "labels", "job_name"] = task.job
        if memory := limits.get("memory"):
            share = result.peak_memory_bytes / float(amount(memory, "memory"))
            self._add(RUN_MEMORY, labels, result, min(share, 1.0))
        if cpu := limits.get("cpu"):
            share = result.cpu_seconds / seconds / float(amount(cpu, "cpu"))
            self._add(RUN_CPU, labels, result, min(share, 1.0))

    def batch(self, job: Any, instance: str, zone: str, result: TaskResult) -> None:
        """A runnable of a Batch task, as if Google's Ops Agent were on its machine."""
        labels = _resource("gce_instance", project(job.name))
        labels["resource", "labels", "instance_id"] = instance
        labels["resource", "labels", "zone"] = zone
        labels["metadata", "user_labels", "batch-job-uid"] = job.uid
        self._add(VM_CPU, labels, result, result.cpu_seconds)
        labels["metric", "labels", "state"] = "used"
        self._add(VM_MEMORY, labels, result, result.peak_memory_bytes)

    def find(self, wanted: Labels, start: datetime | None, end: datetime) -> Iterator[Sample]:
        """The samples with these labels that ended in an interval, newest first."""
        for sample in reversed(self._samples):
            inside = sample.end <= end and (start is None or sample.end > start)
            if inside and all(sample.labels.get(path) == value for path, value in wanted.items()):
                yield sample

    def _add(self, metric: str, labels: Labels, result: TaskResult, value: float) -> None:
        mine = {**labels, ("metric", "type"): metric}
        self._samples.append(Sample(mine, result.start_time, result.end_time, value))


def _resource(kind: str, project_id: str) -> dict[tuple[str, ...], str]:
    return {("resource", "type"): kind, ("resource", "labels", "project_id"): project_id}
