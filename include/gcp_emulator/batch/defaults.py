"""A new job, with what Batch fills in."""

from typing import Any

from gcp_emulator.batch.machines import smallest, tasks_per_machine
from gcp_emulator.batch.names import GROUP, group_of, new_uid
from gcp_emulator.batch.states import TaskState
from gcp_emulator.messages import BatchJob, now
from gcp_emulator.run.names import region, short

CPU_MILLI, MEMORY_MIB = 2000, 2000  # ComputeResource, when a job does not say
PARALLELISM = 1000
STANDARD = 1  # AllocationPolicy.ProvisioningModel
JOB_ID_LABEL = "batch-job-id"
BOOT_DISK = {"type_": "pd-balanced", "size_gb": 30, "image": "batch-cos"}


def new_job(name: str, given: Any, service_account: str) -> Any:
    """The stored form of a job that was checked: a copy without what callers may not set."""
    job = BatchJob()
    job.CopyFrom(given)
    job.ClearField("status")
    job.name, job.uid = name, new_uid(short(name))
    job.create_time.CopyFrom(now())
    job.update_time.CopyFrom(job.create_time)
    job.status.run_duration.SetInParent()
    _fill_group(job)
    _fill_allocation(job, service_account)
    _fill_status(job)
    return job


def _fill_group(job: Any) -> None:
    group = job.task_groups[0]
    group.name = group_of(job.name)
    group.task_count = len(group.task_environments) or group.task_count or 1
    in_order = group.scheduling_policy == 2
    group.parallelism = group.parallelism or (1 if in_order else min(group.task_count, PARALLELISM))
    resource = group.task_spec.compute_resource
    resource.cpu_milli = resource.cpu_milli or CPU_MILLI
    resource.memory_mib = resource.memory_mib or MEMORY_MIB


def _fill_allocation(job: Any, service_account: str) -> None:
    policy = job.allocation_policy
    policy.labels[JOB_ID_LABEL] = short(job.name)
    policy.service_account.email = policy.service_account.email or service_account
    if not policy.location.allowed_locations:
        policy.location.allowed_locations.append(f"regions/{region(job.name)}")


def _fill_status(job: Any) -> None:
    group = job.task_groups[0]
    resource = group.task_spec.compute_resource
    status = job.status.task_groups[GROUP]
    status.counts[TaskState.PENDING.name] = group.task_count
    machine = machine_type(job)
    pack = group.task_count_per_node or tasks_per_machine(machine, resource.cpu_milli)
    status.instances.add(
        machine_type=machine,
        provisioning_model=provisioning_model(job),
        task_pack=min(pack, group.task_count),
        boot_disk=BOOT_DISK,
    )


def machine_type(job: Any) -> str:
    """The type that the job names, or the one that Batch takes."""
    resource = job.task_groups[0].task_spec.compute_resource
    for instance in job.allocation_policy.instances:
        if instance.policy.machine_type:
            return str(instance.policy.machine_type)
    return smallest(resource.cpu_milli, resource.memory_mib)


def provisioning_model(job: Any) -> int:
    """google.cloud.batch.v1.AllocationPolicy.ProvisioningModel"""
    return next(
        (
            int(i.policy.provisioning_model)
            for i in job.allocation_policy.instances
            if i.policy.provisioning_model
        ),
        STANDARD,
    )


def zones(job: Any) -> list[str]:
    """Where its machines may stand."""
    found = []
    for location in job.allocation_policy.location.allowed_locations:
        name = short(location)
        found += [name] if location.split("/")[-2] == "zones" else [f"{name}-{letter}" for letter in "bcd"]
    return found
