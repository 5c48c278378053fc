"""JobSpec <-> google.cloud.run_v2 messages. Template -> message -> template is the identity."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.cloud import run_v2

from gcp_jobs.backends import cloud_run_parts as parts
from gcp_jobs.backends.base import RUN_KEY, START_TOKEN, RunRequest
from gcp_jobs.errors import ConfigurationRefused
from gcp_jobs.model import JobRef, JobSpec
from gcp_jobs.spec import Container, Provisioning

MAIN = "main"
_TOKEN = 12  # with the longest job's name and a hyphen: fewer than 63 characters


def ref(spec: JobSpec) -> JobRef:
    """Point at a spec's definition."""
    return JobRef("cloud_run", spec.project, spec.region, spec.name)


def to_job(spec: JobSpec) -> run_v2.Job:
    """Build the definition. Raises ConfigurationRefused for what Cloud Run does not have."""
    _refuse_foreign(spec)
    files = parts.secret_folders(spec.secret_files)
    mounts = {name: folder for name, folder, _ in files} | {v.name: v.path for v in spec.volumes if v.path}
    main = _container(
        name=MAIN if spec.containers else "",
        image=spec.image, command=spec.command, args=spec.args, env=spec.env, secrets=spec.secrets,
        cpu=spec.cpu, memory=spec.memory, mounts=mounts,
        depends_on=[c.name for c in spec.containers if c in spec.init_containers or c.startup_port],
    )  # fmt: skip
    task = run_v2.TaskTemplate(
        containers=[main, *(_beside(c) for c in spec.containers)],
        volumes=[
            *(parts.to_secret_volume(name, items) for name, _, items in files),
            *map(parts.to_volume, spec.volumes),
        ],
        max_retries=spec.max_retries,
        timeout={"seconds": spec.timeout},
        service_account=spec.service_account or "",
        encryption_key=spec.kms_key or "",
        vpc_access=parts.to_vpc(spec.network) if spec.network else None,
    )
    return run_v2.Job(
        name=ref(spec).parent,
        labels=spec.labels,
        template=run_v2.ExecutionTemplate(
            labels=spec.labels, task_count=spec.task_count, parallelism=spec.parallelism, template=task
        ),
    )


def from_job(job: run_v2.Job, environment: str) -> JobSpec:
    """Read a definition back. `environment` is used where the definition carries no such label."""
    where = JobRef.parse(job.name)
    task = job.template.template
    main, *others = task.containers
    beside = [_from_beside(c) for c in others]
    early = {n for n in main.depends_on} - {c.name for c in beside if c.startup_port}
    paths = {m.name: m.mount_path for m in main.volume_mounts}
    return JobSpec.model_validate({
        "name": where.job, "project": where.project, "region": where.region,
        "environment": job.labels.get("environment", environment),
        "labels": dict(job.labels),
        **_from_container(main),
        "secret_files": {
            f"{paths[v.name]}/{item.path}": f"{v.secret.secret}:{item.version or 'latest'}"
            for v in task.volumes if v.secret.secret for item in v.secret.items
        },
        "timeout": _seconds(task.timeout) or 600,
        "task_count": job.template.task_count or 1,
        "parallelism": job.template.parallelism or 1,
        "max_retries": task.max_retries,
        "service_account": task.service_account or None,
        "kms_key": task.encryption_key or None,
        "volumes": [parts.from_volume(v, paths.get(v.name)) for v in task.volumes if not v.secret.secret],
        "sidecars": [c for c in beside if c.name not in early],
        "init_containers": [c for c in beside if c.name in early],
        "network": parts.from_vpc(task.vpc_access) if "vpc_access" in task else None,
    })  # fmt: skip


def to_run_request(request: RunRequest) -> run_v2.RunJobRequest:
    """Build a run: the stock operator's overrides first, then args, environment and run key of the main container."""
    try:
        overrides = run_v2.RunJobRequest.Overrides(dict(request.overrides))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationRefused(
            f"wrong overrides: {error}", where=request.job.parent,
            todo="Known: container_overrides (name, args, env, clear_args), task_count, timeout.",
        ) from error  # fmt: skip
    main = next((c for c in overrides.container_overrides if c.name in ("", request.container)), None)
    if main is None:
        overrides.container_overrides.append(
            run_v2.RunJobRequest.Overrides.ContainerOverride(name=request.container)
        )
        main = overrides.container_overrides[-1]
    if request.args is not None:
        main.args, main.clear_args = list(request.args), not request.args
    env = {**request.env, RUN_KEY: request.run_key}
    main.env = [e for e in main.env if e.name not in env] + [
        run_v2.EnvVar(name=k, value=v) for k, v in env.items()
    ]
    return run_v2.RunJobRequest(name=request.job.parent, overrides=overrides)


def to_tokened_job(spec: JobSpec, request: RunRequest) -> run_v2.Job:
    """Build the definition whose writing starts the run: a token takes no overrides, so they are in it."""
    token = request.run_key[:_TOKEN]
    request = replace(request, env={**request.env, START_TOKEN: token})
    job, overrides = to_job(spec), to_run_request(request).overrides
    job.start_execution_token = token
    job.template.task_count = overrides.task_count or spec.task_count
    if "timeout" in overrides:
        job.template.template.timeout = overrides.timeout
    containers = {container.name: container for container in job.template.template.containers}
    for change in overrides.container_overrides:
        if change.name not in containers:
            raise ConfigurationRefused(
                f"no container is named {change.name!r}", where=request.job.parent,
                todo=f"Name one of them in overrides: {', '.join(map(repr, containers))}.",
            )  # fmt: skip
        container, names = containers[change.name], {variable.name for variable in change.env}
        if change.args or change.clear_args:
            container.args = change.args
        container.env = [each for each in container.env if each.name not in names] + list(change.env)
    return job


def tokened(job: JobRef, run_key: str) -> JobRef:
    """Name the execution that a run key's token starts."""
    return replace(job, run=f"{job.job}-{run_key[:_TOKEN]}")


def differences(wanted: JobSpec, found: JobSpec) -> list[str]:
    """Say field by field how a definition differs; where we want nothing particular, anything is right."""
    lines = []
    for name in JobSpec.model_fields:
        want, have = getattr(wanted, name), getattr(found, name)
        if name == "labels":
            have = {k: v for k, v in have.items() if k in want}
        if want != have and want is not None:
            lines.append(f"{name}: wanted {_shown(want)}, found {_shown(have)}")
    return lines


def _seconds(duration: Any) -> int:
    """proto-plus shows a Duration as a timedelta, whatever its annotation says."""
    return int(duration.total_seconds())


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(v) for v in value) + "]"
    return repr(
        value.model_dump(mode="json", exclude_defaults=True) if hasattr(value, "model_dump") else value
    )


def _refuse_foreign(spec: JobSpec) -> None:
    batch_only: dict[str, bool] = {
        "provisioning": spec.provisioning is not Provisioning.STANDARD,
        "machine_type": spec.machine_type is not None,
        "zones": bool(spec.zones),
        "network.no_external_ip": spec.network is not None and spec.network.no_external_ip,
    }
    if wrong := [field for field, is_set in batch_only.items() if is_set]:
        raise ConfigurationRefused(
            f"Cloud Run has no {', '.join(wrong)}",
            where=f"job {spec.name}",
            todo="Remove it, or run the job on Batch.",
        )
    if spec.task_count > 10_000:
        raise ConfigurationRefused(
            f"a Cloud Run job has at most 10000 tasks, not task_count={spec.task_count}",
            where=f"job {spec.name}",
            todo="Lower it, or run the job on Batch.",
        )
    if len(spec.name) > 49:
        raise ConfigurationRefused(
            "a Cloud Run job's name has at most 49 characters", where=f"job {spec.name}", todo="Shorten it."
        )


def _container(
    *, name: str, image: str, command: Sequence[str], args: Sequence[str], env: Mapping[str, str],
    secrets: Mapping[str, str], cpu: str, memory: str, mounts: Mapping[str, str], depends_on: Sequence[str],
) -> run_v2.Container:  # fmt: skip
    return run_v2.Container(
        name=name,
        image=image,
        command=command,
        args=args,
        env=[run_v2.EnvVar(name=k, value=v) for k, v in env.items()]
        + [run_v2.EnvVar(name=k, value_source=_source(v)) for k, v in secrets.items()],
        resources=run_v2.ResourceRequirements(limits={"cpu": cpu, "memory": memory}),
        volume_mounts=[run_v2.VolumeMount(name=k, mount_path=v) for k, v in mounts.items()],
        depends_on=depends_on,
    )


def _source(secret: str) -> run_v2.EnvVarSource:
    name, _, version = secret.rpartition(":")
    return run_v2.EnvVarSource(secret_key_ref=run_v2.SecretKeySelector(secret=name, version=version))


def _from_container(container: run_v2.Container) -> dict[str, Any]:
    sourced = {
        e.name: e.value_source.secret_key_ref for e in container.env if e.value_source.secret_key_ref.secret
    }
    limits = container.resources.limits
    return {
        "image": container.image,
        "command": tuple(container.command),
        "args": tuple(container.args),
        "env": {e.name: e.value for e in container.env if e.name not in sourced},
        "secrets": {name: f"{key.secret}:{key.version or 'latest'}" for name, key in sourced.items()},
        "cpu": limits.get("cpu", "1"),
        "memory": limits.get("memory", "512Mi"),
    }


def _beside(container: Container) -> run_v2.Container:
    message = _container(**{
        field: getattr(container, field)
        for field in ("name", "image", "command", "args", "env", "secrets", "cpu", "memory", "mounts", "depends_on")
    })  # fmt: skip
    if container.startup_port:
        message.startup_probe = run_v2.Probe(tcp_socket=run_v2.TCPSocketAction(port=container.startup_port))
    return message


def _from_beside(container: run_v2.Container) -> Container:
    return Container.model_validate({
        **_from_container(container),
        "name": container.name,
        "mounts": {m.name: m.mount_path for m in container.volume_mounts},
        "depends_on": tuple(container.depends_on),
        "startup_port": container.startup_probe.tcp_socket.port or None,
    })  # fmt: skip
