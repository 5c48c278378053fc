"""JobSpec <-> google.cloud.batch_v1.Job. Template -> message -> template is the identity."""

from typing import Any

from google.cloud import batch_v1

from gcp_jobs import quantity
from gcp_jobs.backends import batch_parts as parts
from gcp_jobs.backends import batch_runnables as runnables
from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.spec import Provisioning

_Model = batch_v1.AllocationPolicy.ProvisioningModel
MAX_PARALLELISM = 5_000


def ref(spec: JobSpec) -> JobRef:
    """Point at a spec's job before it has an id: its name is the start of the id."""
    return JobRef("batch", spec.project, spec.region, spec.name)


def to_job(spec: JobSpec) -> batch_v1.Job:
    """Build the job. Raises ConfigurationRefused for what Batch does not have."""
    _refuse_foreign(spec)
    cpu_milli, memory_mib = runnables.needs(spec)
    task = batch_v1.TaskSpec(
        runnables=runnables.to_runnables(spec),
        compute_resource={"cpu_milli": cpu_milli, "memory_mib": memory_mib},
        max_run_duration={"seconds": spec.timeout},
        max_retry_count=spec.max_retries,
        volumes=[parts.to_volume(v) for v in spec.volumes if v.memory is None],
    )
    return batch_v1.Job(
        name=ref(spec).parent,
        labels=spec.labels,
        task_groups=[{"task_spec": task, "task_count": spec.task_count, "parallelism": spec.parallelism}],
        allocation_policy=_allocation(spec),
        logs_policy={"destination": batch_v1.LogsPolicy.Destination.CLOUD_LOGGING},
    )


def from_job(job: batch_v1.Job, environment: str) -> JobSpec:
    """Read a job back. `environment` is used where the job carries no such label."""
    where = JobRef.parse(job.name, "batch")
    (group,) = job.task_groups
    task, policy = group.task_spec, job.allocation_policy
    (machines,) = [i.policy for i in policy.instances] or [batch_v1.AllocationPolicy.InstancePolicy()]
    spot = machines.provisioning_model == _Model.SPOT
    return JobSpec.model_validate({
        "name": where.job, "project": where.project, "region": where.region,
        "environment": job.labels.get("environment", environment),
        "labels": dict(job.labels),
        **runnables.from_task(task, where.project),
        "timeout": _seconds(task.max_run_duration) or 3600,
        "task_count": group.task_count or 1,
        "parallelism": group.parallelism or 1,
        "max_retries": task.max_retry_count,
        "service_account": policy.service_account.email or None,
        "network": parts.from_network(policy, where.region),
        "provisioning": Provisioning.SPOT if spot else Provisioning.STANDARD,
        "machine_type": machines.machine_type or None,
        "zones": [z.removeprefix("zones/") for z in policy.location.allowed_locations if z.startswith("zones/")],
    })  # fmt: skip


def notify(job: batch_v1.Job, topic: str) -> None:
    """Have the job tell `topic` (full name) of every new state, unless it does already."""
    wanted = batch_v1.JobNotification.Type.JOB_STATE_CHANGED
    for known in job.notifications:
        if known.pubsub_topic == topic and known.message.type_ == wanted and not known.message.new_job_state:
            return
    job.notifications.append(batch_v1.JobNotification(pubsub_topic=topic, message={"type_": wanted}))


def _seconds(duration: Any) -> int:
    """proto-plus shows a Duration as a timedelta, whatever its annotation says."""
    return int(duration.total_seconds())


def _allocation(spec: JobSpec) -> batch_v1.AllocationPolicy:
    model = _Model.SPOT if spec.provisioning is Provisioning.SPOT else _Model.STANDARD
    machines = batch_v1.AllocationPolicy.InstancePolicy(
        machine_type=spec.machine_type or "", provisioning_model=model
    )
    policy = batch_v1.AllocationPolicy(
        instances=[batch_v1.AllocationPolicy.InstancePolicyOrTemplate(policy=machines)], labels=spec.labels
    )
    if spec.zones:
        policy.location.allowed_locations = [f"zones/{zone}" for zone in spec.zones]
    if spec.service_account:
        policy.service_account.email = spec.service_account
    if spec.network:
        parts.to_network(spec.network, spec.region, policy)
    return policy


def _refuse_foreign(spec: JobSpec) -> None:
    cloud_run_only: dict[str, bool] = {
        "kms_key": spec.kms_key is not None,
        "network.connector": spec.network is not None and spec.network.connector is not None,
        "startup_port of a sidecar": any(c.startup_port for c in spec.containers),
    }
    if wrong := [field for field, is_set in cloud_run_only.items() if is_set]:
        raise ConfigurationRefused(
            f"Batch has no {', '.join(wrong)}",
            where=f"job {spec.name}",
            todo="Remove it, or run the job on Cloud Run.",
        )
    if spec.parallelism > MAX_PARALLELISM:
        raise ConfigurationRefused(
            f"Batch runs at most {MAX_PARALLELISM} tasks of a job at once, not parallelism={spec.parallelism}",
            where=f"job {spec.name}", todo="Lower it.",
        )  # fmt: skip
    for field, size in _memories(spec):
        if quantity.memory_bytes(size) % 2**20:
            raise ConfigurationRefused(
                f"Batch counts memory in MiB, {field}={size} is no whole number of them",
                where=f"job {spec.name}", todo="Write it like 512Mi or 2Gi.",
            )  # fmt: skip


def _memories(spec: JobSpec) -> list[tuple[str, Any]]:
    return [("memory", spec.memory), *((f"memory of {c.name}", c.memory) for c in spec.containers)]
