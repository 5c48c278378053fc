"""From an execution's template to what the runtime runs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcp_emulator.run.names import project, short
from gcp_emulator.run.quantity import amount
from gcp_emulator.run.secrets import SecretReader, SecretValues
from gcp_emulator.runtime.model import Container, Mount, Probe, TaskSpec, Volume

DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a task finds around it: secrets, folders that stand for buckets, the default service account."""

    secrets: SecretReader
    folders: Path
    default_service_account: str


def prepare(execution: Any, around: Surroundings) -> TaskSpec:
    """The spec that all tasks of an execution share; SecretsDenied when a secret cannot be read."""
    task = execution.template
    account = task.service_account or around.default_service_account
    values = SecretValues(around.secrets, project(execution.name), account)
    timeout = task.timeout.seconds + task.timeout.nanos / 1e9
    return TaskSpec(
        name=short(execution.name),
        containers=tuple(_container(container, values) for container in task.containers),
        volumes=tuple(_volume(volume, values, around.folders) for volume in task.volumes),
        timeout_s=timeout,
        service_account=account,
        project=project(execution.name),
        main=main_container(task.containers),
    )


def for_attempt(shared: TaskSpec, execution: Any, index: int, attempt: int) -> TaskSpec:
    """The spec of one attempt of one task, with the variables that Cloud Run sets."""
    env = {
        "CLOUD_RUN_JOB": execution.job,
        "CLOUD_RUN_EXECUTION": short(execution.name),
        "CLOUD_RUN_TASK_INDEX": str(index),
        "CLOUD_RUN_TASK_COUNT": str(execution.task_count),
        "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
    }
    containers = tuple(replace(container, env={**container.env, **env}) for container in shared.containers)
    return replace(shared, name=f"{shared.name}-task{index}-{attempt}", containers=containers)


def main_container(containers: Any) -> str:
    """The container that decides: the first that no other one waits for."""
    waited_for = {name for container in containers for name in container.depends_on}
    for container in containers:
        if container.name not in waited_for:
            return str(container.name)
    return ""


def _container(container: Any, values: SecretValues) -> Container:
    memory = container.resources.limits.get("memory", "")
    return Container(
        name=container.name,
        image=container.image,
        command=tuple(container.command),
        args=tuple(container.args),
        env=values.env(container),
        working_dir=container.working_dir or None,
        memory_bytes=int(amount(memory, "memory")) if memory else None,
        depends_on=tuple(container.depends_on),
        mounts=tuple(Mount(mount.name, mount.mount_path) for mount in container.volume_mounts),
        startup_probe=_probe(container),
    )


def _probe(container: Any) -> Probe | None:
    if not container.HasField("startup_probe"):
        return None
    given = container.startup_probe
    check = getattr(given, given.WhichOneof("probe_type") or "tcp_socket")
    port = check.port or next((port.container_port for port in container.ports), DEFAULT_PORT)
    return Probe(
        port=port,
        path=given.http_get.path or "/" if given.HasField("http_get") else None,
        initial_delay_s=given.initial_delay_seconds,
        timeout_s=given.timeout_seconds or 1,
        period_s=given.period_seconds or 10,
        failure_threshold=given.failure_threshold or 3,
    )


def _volume(volume: Any, values: SecretValues, folders: Path) -> Volume:
    kind = volume.WhichOneof("volume_type")
    if kind == "secret":
        return Volume(volume.name, files=values.files(volume.secret))
    if kind == "empty_dir":
        limit = volume.empty_dir.size_limit
        return Volume(volume.name, size_limit_bytes=int(amount(limit, "size_limit")) if limit else None)
    if kind == "gcs":
        return _folder(volume.name, folders / "gcs" / volume.gcs.bucket, volume.gcs.read_only)
    if kind == "nfs":
        export = folders / "nfs" / volume.nfs.server / volume.nfs.path.strip("/")
        return _folder(volume.name, export, volume.nfs.read_only)
    return Volume(volume.name)  # cloud_sql_instance: a folder of sockets, empty as nothing listens


def _folder(name: str, path: Path, read_only: bool) -> Volume:
    path.mkdir(parents=True, exist_ok=True)
    return Volume(name, path=str(path), read_only=read_only)
