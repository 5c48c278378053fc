"""From a runnable to what the runtime runs: a container of its image, or a script on the machine itself."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcp_emulator.runtime.model import Container, Mount, TaskSpec, Volume
from gcp_emulator.runtime.standins import VM

MIB = 1024 * 1024
NAME = "runnable"
SHELL = "/bin/sh"
# Options of `docker run` that mean something here; the others are for Docker alone.
OPTIONS = {
    "-e": "env",
    "--env": "env",
    "-w": "workdir",
    "--workdir": "workdir",
    "-v": "volume",
    "--volume": "volume",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """What a task's runnables share: the machine's folder, and the host folders of volumes by mount path."""

    machine: Path
    volumes: dict[str, Volume]

    def folder(self, path: str) -> Volume:
        """The host folder of an absolute path on the machine, made when it is missing."""
        for mount_path, volume in sorted(self.volumes.items(), key=lambda item: -len(item[0])):
            if path == mount_path or path.startswith(f"{mount_path}/"):
                host = Path(volume.path or "") / path[len(mount_path) :].lstrip("/")
                return Volume(path, path=str(host), read_only=volume.read_only)
        return Volume(path, path=str(self.machine / "disk" / path.strip("/")))


@dataclass(slots=True)
class Options:
    """What `container.options` says, as far as it counts here."""

    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    volumes: list[str] = field(default_factory=list)


def read_options(text: str) -> Options:
    found, words = Options(), shlex.split(text)
    while words:
        flag, has_value, value = words.pop(0).partition("=")
        kind = OPTIONS.get(flag)
        if kind is None:
            continue
        if not has_value and words:
            value = words.pop(0)
        if kind == "env":
            name, _, content = value.partition("=")
            found.env[name] = content
        elif kind == "workdir":
            found.workdir = value
        else:
            found.volumes.append(value)
    return found


def task_disk(task_spec: Any, machine: Path, folders: Path) -> Disk:
    """Buckets and exports are folders below `folders`, disks are folders of the machine. Blocking."""
    volumes = {}
    for volume in task_spec.volumes:
        path = volume.mount_path.rstrip("/")
        kind = volume.WhichOneof("source")
        if kind == "gcs":
            host = folders / "gcs" / volume.gcs.remote_path.strip("/")
        elif kind == "nfs":
            host = folders / "nfs" / volume.nfs.server / volume.nfs.remote_path.strip("/")
        else:
            host = machine / "devices" / volume.device_name
        host.mkdir(parents=True, exist_ok=True)
        volumes[path] = Volume(path, path=str(host), read_only="ro" in volume.mount_options)
    return Disk(machine, volumes)


def spec(runnable: Any, index: int, env: dict[str, str], disk: Disk, memory_mib: int) -> TaskSpec:
    """The runtime's form of one script or container runnable, without its name and identity. Blocking."""
    make = _container if runnable.HasField("container") else _script
    container, volumes = make(runnable, index, env, disk, memory_mib * MIB)
    timeout = runnable.timeout.ToNanoseconds() / 1e9 if runnable.HasField("timeout") else None
    return TaskSpec(NAME, (container,), volumes, timeout, disk_is_memory=False)


def _container(
    runnable: Any, index: int, env: dict[str, str], disk: Disk, memory: int
) -> tuple[Container, tuple[Volume, ...]]:
    given = runnable.container
    options = read_options(given.options)
    binds = [*given.volumes, *options.volumes] or [f"{path}:{path}" for path in disk.volumes]
    mounts, volumes = {}, {}
    for bind in binds:
        source, target, *mode = bind.split(":")
        volume = disk.folder(source.rstrip("/"))
        read_only = volume.read_only or "ro" in "".join(mode).split(",")
        name = f"{source} {'ro' if read_only else 'rw'}"
        volumes[name] = Volume(name, path=volume.path, read_only=read_only)
        mounts[target] = Mount(name, target)
    container = Container(
        name=NAME,
        image=given.image_uri,
        command=(given.entrypoint,) if given.entrypoint else (),
        args=tuple(given.commands),
        env={**env, **options.env},
        working_dir=options.workdir,
        memory_bytes=memory,
        mounts=tuple(mounts.values()),
    )
    return container, tuple(volumes.values())


def _script(
    runnable: Any, index: int, env: dict[str, str], disk: Disk, memory: int
) -> tuple[Container, tuple[Volume, ...]]:
    """Scripts of a machine share its /tmp, and see volumes at their mount paths."""
    (disk.machine / "tmp").mkdir(parents=True, exist_ok=True)
    (disk.machine / "tmp").chmod(0o1777)
    if runnable.script.text:
        path = f"/tmp/batch-script-{index}"
        file = disk.machine / "tmp" / path.rpartition("/")[2]
        file.write_text(runnable.script.text, encoding="utf-8")
        file.chmod(0o755)
        command = _interpreter(file, path)
    else:
        path = runnable.script.path
        command = _interpreter(_on_host(path, disk), path)
    volumes = {"/tmp": Volume("/tmp", path=str(disk.machine / "tmp")), **disk.volumes}
    container = Container(
        name=NAME,
        image=VM,
        command=command,
        env=env,
        memory_bytes=memory,
        mounts=tuple(Mount(volume.name, target) for target, volume in volumes.items()),
    )
    return container, tuple(volumes.values())


def _on_host(path: str, disk: Disk) -> Path:
    if path.startswith("/tmp/"):
        return disk.machine / path.lstrip("/")
    folder, _, name = path.rpartition("/")
    return Path(disk.folder(folder).path or "/") / name


def _interpreter(file: Path, path: str) -> tuple[str, ...]:
    """The command of a script: what its first line names, else the shell."""
    try:
        with file.open(encoding="utf-8", errors="replace") as script:
            first = script.readline()
    except OSError:
        return (path,)
    shebang = re.match(r"#!\s*(\S+)\s*(.*)", first)
    if not shebang:
        return (SHELL, path)
    program, argument = shebang[1], shebang[2].strip()
    if program == "/usr/bin/env" and argument and not argument.startswith("-"):
        return (*argument.split(), path)
    return (program, *((argument,) if argument else ()), path)
