"""What Cloud Run refuses in a job: counts, times, containers, resources, volumes, labels."""

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.run.quantity import amount

MAX_TASKS = 10_000
MAX_RETRIES = 10
MAX_TIMEOUT_S = 168 * 3600
MAX_CONTAINERS = 10
GIB = 2**30
# https://cloud.google.com/run/docs/configuring/jobs/memory-limits: memory that a number of processors allows.
MAX_MEMORY = {1: 4 * GIB, 2: 8 * GIB, 4: 16 * GIB, 6: 24 * GIB, 8: 32 * GIB}
MIN_MEMORY = 2**29
SYSTEM_DOMAINS = (
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
)
RESERVED_ENV = frozenset(
    f"CLOUD_RUN_{name}" for name in ("JOB", "EXECUTION", "TASK_INDEX", "TASK_COUNT", "TASK_ATTEMPT")
)
CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
IMAGE = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", re.ASCII)
ENV_NAME = re.compile(r"[^=\s]+")
INNER_PATH = re.compile(r"(?!(.*/)?\.{1,2}(/|$))[^/\0][^\0]*")
SOURCES = {
    "secret": {"secret": re.compile(r"(projects/[^/]+/secrets/)?[\w-]{1,255}", re.ASCII)},
    "gcs": {"bucket": re.compile(r"[a-z0-9]([\w.-]*[a-z0-9])", re.ASCII)},
    "nfs": {
        "server": re.compile(r"[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?", re.ASCII),
        "path": re.compile(r"(?!.*/\.{1,2}(/|$))/[^\0]*"),
    },
}


def check_job(job: Any) -> None:
    """InvalidArgument naming the field and the rule that it breaks."""
    template = job.template
    _check_metadata("job", job)
    _check_metadata("job.template", template)
    check_counts(template.task_count, template.parallelism)
    task = template.template
    if task.HasField("timeout"):
        check_timeout("job.template.template.timeout", task.timeout)
    if not 0 <= task.max_retries <= MAX_RETRIES:
        raise InvalidArgument.field("job.template.template.max_retries", f"must be in [0, {MAX_RETRIES}]")
    _check_volumes(task)
    _check_containers(task)


def check_counts(task_count: int, parallelism: int) -> None:
    if not 0 <= task_count <= MAX_TASKS:
        raise InvalidArgument.field("job.template.task_count", f"must be in [1, {MAX_TASKS}]")
    if not 0 <= parallelism <= MAX_TASKS:
        raise InvalidArgument.field("job.template.parallelism", f"must be in [0, {MAX_TASKS}]")


def check_timeout(field: str, timeout: Any) -> None:
    seconds = timeout.seconds + timeout.nanos / 1e9
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise InvalidArgument.field(field, f"{seconds:g} s must be above 0 s and at most {MAX_TIMEOUT_S} s")


def _check_metadata(path: str, message: Any) -> None:
    for kind, entries in (("labels", message.labels), ("annotations", message.annotations)):
        for key in entries:
            if key.partition("/")[0].endswith(SYSTEM_DOMAINS) and "/" in key:
                raise InvalidArgument.field(
                    f"{path}.{kind}", f"system keys such as '{key}' are not allowed in v2"
                )


def _check_containers(task: Any) -> None:
    path = "job.template.template.containers"
    if not 1 <= len(task.containers) <= MAX_CONTAINERS:
        raise InvalidArgument.field(path, f"must have between 1 and {MAX_CONTAINERS} containers")
    for index, container in enumerate(task.containers):
        _check_container(f"{path}[{index}]", container, {volume.name for volume in task.volumes})
    if len(task.containers) > 1:
        _check_names_and_order(path, task.containers)
    _check_resources(path, task.containers)


def _check_container(path: str, container: Any, volumes: set[str]) -> None:
    if not container.image:
        raise InvalidArgument.field(f"{path}.image", "must have a value: the container's image")
    if not IMAGE.fullmatch(container.image):
        raise InvalidArgument.field(
            f"{path}.image",
            f"expected an image path like [host/]repo-path[:tag and/or @digest], not '{container.image}'",
        )
    if container.name and not CONTAINER_NAME.fullmatch(container.name):
        raise InvalidArgument.field(f"{path}.name", f"'{container.name}' is not a DNS label")
    check_env(f"{path}.env", container.env)
    for mount in container.volume_mounts:
        if mount.name not in volumes:
            raise InvalidArgument.field(f"{path}.volume_mounts", f"no volume is named '{mount.name}'")
        if not mount.mount_path.startswith("/") or mount.mount_path == "/":
            raise InvalidArgument.field(
                f"{path}.volume_mounts", f"'{mount.mount_path}' is not an absolute path"
            )


def check_env(path: str, variables: Iterable[Any]) -> None:
    reserved = sorted({variable.name for variable in variables} & RESERVED_ENV)
    if reserved:
        raise InvalidArgument.field(
            path,
            f"The following reserved env names were provided: {', '.join(reserved)}. "
            "These values are automatically set by the system.",
        )
    for variable in variables:
        if not ENV_NAME.fullmatch(variable.name):
            raise InvalidArgument.field(path, f"'{variable.name}' is not a variable's name")
        reference = variable.value_source.secret_key_ref
        if variable.HasField("value_source") and not reference.secret:
            raise InvalidArgument.field(f"{path}.value_source.secret_key_ref.secret", "must have a value")


def _check_names_and_order(path: str, containers: Any) -> None:
    names = [container.name for container in containers]
    if "" in names:
        raise InvalidArgument.field(f"{path}.name", "must have a value when there are several containers")
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise InvalidArgument.field(f"{path}.name", f"'{double[0]}' is used more than once")
    waits = {container.name: set(container.depends_on) for container in containers}
    for name, others in waits.items():
        for unknown in sorted(others - waits.keys()):
            raise InvalidArgument.field(
                f"{path}.depends_on", f"'{name}' depends on unknown container '{unknown}'"
            )
    while waits:
        ready = [name for name, others in waits.items() if not others & waits.keys()]
        if not ready:
            raise InvalidArgument.field(f"{path}.depends_on", f"a cycle among {', '.join(sorted(waits))}")
        for name in ready:
            del waits[name]


def _check_resources(path: str, containers: Any) -> None:
    """Jobs run in the second generation: whole processors, at least 512 MiB for the task as a whole."""
    cpu = memory = Decimal(0)
    for container in containers:
        limits = container.resources.limits
        cpu += amount(limits.get("cpu", "1"), f"{path}.resources.limits.cpu")
        memory += amount(limits.get("memory", "512Mi"), f"{path}.resources.limits.memory")
    if len(containers) == 1 and cpu not in MAX_MEMORY:
        raise InvalidArgument.field(
            f"{path}.resources.limits.cpu", f"must be one of 1, 2, 4, 6, 8, not {cpu.normalize():f}"
        )
    most = MAX_MEMORY[int(cpu)] if len(containers) == 1 else max(MAX_MEMORY.values())
    if not MIN_MEMORY <= memory <= most:
        raise InvalidArgument.field(
            f"{path}.resources.limits.memory",
            f"Invalid value specified for memory. For {cpu.normalize():f} CPU, memory must be between 512Mi and "
            f"{most // GIB}Gi inclusive.",
        )


def _check_volumes(task: Any) -> None:
    path = "job.template.template.volumes"
    names = Counter(volume.name for volume in task.volumes)
    for volume in task.volumes:
        if not volume.name or names[volume.name] > 1:
            raise InvalidArgument.field(f"{path}.name", f"'{volume.name}' must be a name of its own")
        kind = volume.WhichOneof("volume_type")
        if kind is None:
            raise InvalidArgument.field(path, f"'{volume.name}' has no source")
        for field, pattern in SOURCES.get(kind, {}).items():
            value = getattr(getattr(volume, kind), field)
            if not pattern.fullmatch(value):
                raise InvalidArgument.field(f"{path}.{kind}.{field}", f"'{value}' is not valid")
        if kind == "empty_dir" and volume.empty_dir.size_limit:
            amount(volume.empty_dir.size_limit, f"{path}.empty_dir.size_limit")
        for item in volume.secret.items if kind == "secret" else ():
            if not INNER_PATH.fullmatch(item.path):
                raise InvalidArgument.field(
                    f"{path}.secret.items.path", f"'{item.path}' is no path inside a volume"
                )
