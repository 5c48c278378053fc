"""Containers of a JobSpec as runnables of a Batch task, both ways.

Init containers run first, one after the other; sidecars run in the background; then the main container. A task has one
amount of CPU and memory, so where there are several containers each is held to its own by options of `docker run`.
"""

from collections.abc import Mapping
from typing import Any

from google.cloud import batch_v1

from gcp_jobs import quantity
from gcp_jobs.backends import batch_parts as parts
from gcp_jobs.model import JobSpec
from gcp_jobs.spec import Container

MAIN = "main"
FILE = (
    "GCP_JOBS_SECRET_FILE_"  # ..._0 holds the secret, ..._0_PATH where the image's entrypoint has to write it
)
_WORDS = "gcp-jobs-command-words"
_AFTER = "gcp-jobs-after-"
_MIB = 2**20


def needs(spec: JobSpec) -> tuple[int, int]:
    """Give the CPU (milli) and memory (MiB) of a task: what runs at the same time, or the largest init container."""
    together = [(spec.cpu, spec.memory), *((c.cpu, c.memory) for c in spec.sidecars)]
    alone = [(c.cpu, c.memory) for c in spec.init_containers]
    cpu = [sum(_milli(cpu) for cpu, _ in together), *(_milli(cpu) for cpu, _ in alone)]
    memory = [sum(_mib(size) for _, size in together), *(_mib(size) for _, size in alone)]
    return max(cpu), max(memory)


def to_runnables(spec: JobSpec) -> list[batch_v1.Runnable]:
    """Build the runnables, the main container last."""
    volumes = {v.name: v for v in spec.volumes}
    built = []
    for container in spec.containers:
        runnable = _runnable(spec, container)
        runnable.background = container in spec.sidecars
        runnable.container.volumes = [parts.bind(volumes[n], path) for n, path in container.mounts.items()]
        runnable.container.options = _limits(container.cpu, container.memory)
        runnable.labels.update({f"{_AFTER}{n}": name for n, name in enumerate(container.depends_on)})
        built.append(runnable)
    main = _runnable(spec, spec)
    main.container.volumes = [parts.bind(v, v.path) for v in spec.volumes if v.path]
    if spec.containers:
        main.container.options = _limits(spec.cpu, spec.memory)
    for n, (path, secret) in enumerate(spec.secret_files.items()):
        main.environment.secret_variables[f"{FILE}{n}"] = parts.secret_version(secret, spec.project)
        main.environment.variables[f"{FILE}{n}_PATH"] = path
    main.labels.update(parts.label_volumes(spec.volumes))
    return [*built, main]


def from_task(task: batch_v1.TaskSpec, project: str) -> dict[str, Any]:
    """Read a task's containers, volumes and sizes back, as fields of JobSpec."""
    *beside, main = task.runnables
    volumes = parts.from_volumes(task.volumes, main)
    cpu, memory = _read_limits(main) or (
        quantity.cpu(f"{task.compute_resource.cpu_milli}m"),
        quantity.memory(f"{task.compute_resource.memory_mib}Mi"),
    )
    variables, secrets, files = _environment(main.environment, project)
    return {
        "image": main.container.image_uri,
        **_command(main),
        "env": variables, "secrets": secrets, "secret_files": files, "cpu": cpu, "memory": memory,
        "volumes": volumes,
        "init_containers": [_from_beside(r, project) for r in beside if not r.background],
        "sidecars": [_from_beside(r, project) for r in beside if r.background],
    }  # fmt: skip


def _runnable(spec: JobSpec, container: JobSpec | Container) -> batch_v1.Runnable:
    entrypoint = container.command[0] if container.command else ""
    runnable = batch_v1.Runnable(
        display_name=container.name if isinstance(container, Container) else MAIN,
        container={
            "image_uri": container.image,
            "entrypoint": entrypoint,
            "commands": [*container.command[1:], *container.args],
        },
        environment={
            "variables": dict(container.env),
            "secret_variables": {
                k: parts.secret_version(v, spec.project) for k, v in container.secrets.items()
            },
        },
    )
    if len(container.command) != bool(entrypoint):  # else where the command ends and the args begin is plain
        runnable.labels[_WORDS] = str(len(container.command))
    return runnable


def _command(runnable: batch_v1.Runnable) -> dict[str, tuple[str, ...]]:
    container = runnable.container
    words = int(runnable.labels.get(_WORDS, bool(container.entrypoint)))
    rest = tuple(container.commands)
    command = (container.entrypoint, *rest[: words - 1]) if words else ()
    return {"command": command, "args": rest[max(0, words - 1) :]}


def _from_beside(runnable: batch_v1.Runnable, project: str) -> Container:
    cpu, memory = _read_limits(runnable) or ("1", "512Mi")
    variables, secrets, _ = _environment(runnable.environment, project)
    after = [key for key in runnable.labels if key.startswith(_AFTER)]
    return Container.model_validate({
        "name": runnable.display_name, "image": runnable.container.image_uri, **_command(runnable),
        "env": variables, "secrets": secrets, "cpu": cpu, "memory": memory,
        "mounts": dict(map(parts.read_bind, runnable.container.volumes)),
        "depends_on": [runnable.labels[f"{_AFTER}{n}"] for n in range(len(after))],
    })  # fmt: skip


def _environment(
    given: batch_v1.Environment, project: str
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Give plain variables, secret ones, and secret files by path."""
    secrets = {k: parts.secret_name(v, project) for k, v in given.secret_variables.items()}
    files = sorted((k for k in secrets if k.startswith(FILE)), key=lambda k: int(k.removeprefix(FILE)))
    paths = {given.variables[f"{k}_PATH"]: secrets.pop(k) for k in files}
    variables = {k: v for k, v in given.variables.items() if not k.startswith(FILE)}
    return variables, secrets, paths


def _limits(cpu: str, memory: str) -> str:
    return f"--cpus={_milli(cpu) / 1000:g} --memory={_mib(memory)}m"


def _read_limits(runnable: batch_v1.Runnable) -> tuple[str, str] | None:
    options: Mapping[str, str] = dict(
        word.split("=", 1) for word in runnable.container.options.split() if "=" in word
    )
    if "--cpus" not in options or "--memory" not in options:
        return None
    return quantity.cpu(options["--cpus"]), quantity.memory(f"{options['--memory'].removesuffix('m')}Mi")


def _milli(cpu: str) -> int:
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def _mib(memory: str) -> int:
    return quantity.memory_bytes(memory) // _MIB
