"""What a job must look like to be accepted, by https://cloud.google.com/batch/quotas#job_limits and the reference."""

import re
from typing import Any

from gcp_emulator.batch.runnable_rules import check_environment, check_runnables, check_volumes
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.run.names import region

MAX_BYTES = 1024 * 1024
MAX_TASKS = 100_000
MAX_PARALLELISM = 5_000
MAX_RETRIES = 10
MAX_LABELS = 64  # https://cloud.google.com/batch/docs/organize-resources-using-labels
MAX_NOTIFICATIONS = 10
JOB_NOTIFICATION, TASK_NOTIFICATION = 1, 2
ACTIONS = (1, 2)
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
RESERVED_LABELS = ("goog-", "google-")
TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def check_job(parent: str, job: Any) -> None:
    """InvalidArgument that names the field and the rule it breaks."""
    size = job.ByteSize()
    if size > MAX_BYTES:
        raise InvalidArgument.field(
            "job", f"it has {size} bytes, a job definition may have {MAX_BYTES} (1 MB)"
        )
    if not 0 <= job.priority < 100:
        raise InvalidArgument.field("job.priority", f"{job.priority} is not in [0, 100)")
    if len(job.task_groups) != 1:
        raise InvalidArgument.field(
            "job.task_groups", f"exactly one task group is supported, got {len(job.task_groups)}"
        )
    _check_group("job.task_groups[0]", job.task_groups[0])
    _check_allocation("job.allocation_policy", job.allocation_policy, region(parent))
    check_labels("job.labels", job.labels)
    _check_notifications(job.notifications)
    if job.logs_policy.destination == 2 and not job.logs_policy.logs_path.startswith("/"):
        raise InvalidArgument.field(
            "job.logs_policy.logs_path", "an absolute path is needed for destination PATH"
        )


def _check_group(path: str, group: Any) -> None:
    if not 0 <= group.task_count <= MAX_TASKS:
        raise InvalidArgument.field(f"{path}.task_count", f"{group.task_count} is not in [1, {MAX_TASKS}]")
    if not 0 <= group.parallelism <= MAX_PARALLELISM:
        raise InvalidArgument.field(
            f"{path}.parallelism", f"{group.parallelism} is not in [1, {MAX_PARALLELISM}]"
        )
    environments = len(group.task_environments)
    if environments > MAX_TASKS or (environments and group.task_count not in (0, environments)):
        raise InvalidArgument.field(
            f"{path}.task_environments",
            f"{environments} environments do not fit a task_count of {group.task_count}; leave task_count out",
        )
    if group.task_count_per_node < 0:
        raise InvalidArgument.field(f"{path}.task_count_per_node", f"{group.task_count_per_node} is negative")
    if group.scheduling_policy == 2 and group.parallelism > 1:
        raise InvalidArgument.field(f"{path}.parallelism", "must be 1 if the scheduling_policy is IN_ORDER")
    for index, environment in enumerate(group.task_environments):
        check_environment(f"{path}.task_environments[{index}]", environment)
    _check_spec(f"{path}.task_spec", group.task_spec)


def _check_spec(path: str, spec: Any) -> None:
    if not 0 <= spec.max_retry_count <= MAX_RETRIES:
        raise InvalidArgument.field(
            f"{path}.max_retry_count", f"{spec.max_retry_count} is not in [0, {MAX_RETRIES}]"
        )
    check_duration(f"{path}.max_run_duration", spec, "max_run_duration")
    for name in ("cpu_milli", "memory_mib", "boot_disk_mib"):
        if getattr(spec.compute_resource, name) < 0:
            raise InvalidArgument.field(f"{path}.compute_resource.{name}", "must not be negative")
    if len(spec.lifecycle_policies) > 1:
        raise InvalidArgument.field(f"{path}.lifecycle_policies", "only one lifecycle policy is supported")
    for policy in spec.lifecycle_policies:
        if policy.action not in ACTIONS or not policy.action_condition.exit_codes:
            raise InvalidArgument.field(
                f"{path}.lifecycle_policies[0]", "needs an action (RETRY_TASK, FAIL_TASK) and exit codes"
            )
    check_environment(f"{path}.environment", spec.environment)
    check_volumes(f"{path}.volumes", spec.volumes)
    check_runnables(f"{path}.runnables", spec.runnables)


def check_duration(path: str, owner: Any, name: str) -> None:
    value = getattr(owner, name)
    if owner.HasField(name) and (
        value.seconds < 0 or value.nanos < 0 or (not value.seconds and not value.nanos)
    ):
        raise InvalidArgument.field(
            path, f"{value.seconds + value.nanos / 1e9:g}s is not a positive duration"
        )


def check_labels(path: str, labels: Any) -> None:
    if len(labels) > MAX_LABELS:
        raise InvalidArgument.field(path, f"{len(labels)} labels, at most {MAX_LABELS} are allowed")
    for key, value in labels.items():
        if key.startswith(RESERVED_LABELS):
            raise InvalidArgument.field(
                path, f"'{key}': labels that begin with goog- or google- are reserved"
            )
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            raise InvalidArgument.field(
                path,
                f"'{key}: {value}': lowercase letters, digits, _ and - only, at most 63 characters, a key begins "
                "with a letter",
            )


def _check_allocation(path: str, policy: Any, home: str) -> None:
    for location in policy.location.allowed_locations:
        kind, _, name = location.rpartition("/")[0].rpartition("/")[2], "/", location.rpartition("/")[2]
        inside = name == home if kind == "regions" else kind == "zones" and name.rpartition("-")[0] == home
        if not inside:
            raise InvalidArgument.field(
                f"{path}.location.allowed_locations",
                f"'{location}' is not the job's own region or a zone in it (regions/{home}, zones/{home}-b)",
            )
    if len(policy.instances) > 1:
        raise InvalidArgument.field(f"{path}.instances", "only one instance policy is supported")
    if policy.HasField("service_account") and policy.service_account.email:
        email = policy.service_account.email
        if not ACCOUNT.fullmatch(email):
            raise InvalidArgument.field(
                f"{path}.service_account.email", f"'{email}' is not an e-mail address"
            )
    check_labels(f"{path}.labels", policy.labels)


def _check_notifications(notifications: Any) -> None:
    if len(notifications) > MAX_NOTIFICATIONS:
        raise InvalidArgument.field("job.notifications", f"at most {MAX_NOTIFICATIONS} are allowed")
    for index, wanted in enumerate(notifications):
        path, message = f"job.notifications[{index}]", wanted.message
        if wanted.pubsub_topic and not TOPIC.fullmatch(wanted.pubsub_topic):
            raise InvalidArgument.field(
                f"{path}.pubsub_topic", f"'{wanted.pubsub_topic}' is not projects/<project>/topics/<topic>"
            )
        if (message.type_ == JOB_NOTIFICATION and message.new_task_state) or (
            message.type_ == TASK_NOTIFICATION and message.new_job_state
        ):
            raise InvalidArgument.field(
                f"{path}.message", "give either job or task level attributes, not both"
            )
