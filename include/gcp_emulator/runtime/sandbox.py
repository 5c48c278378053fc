"""The file system that a container sees: its image's files, its volumes, a home and a /tmp of its own.

Two ways, tried in this order (`detect`):

MOUNTS  The process has a root file system of its own (mount namespaces, see supervisor/mounts.py): every absolute path
        is right, hard-coded ones too, and volumes can be read-only. What the container lacks shows through from the
        host, interpreters and libraries above all; so do, for a job that runs on a laptop, the files of the host that
        its environment or arguments name, in folders of the host's /tmp too (a file right in /tmp is the task's).
PATHS   Where namespaces are refused (in Docker with its default profile, with AppArmor's restriction of user
        namespaces): absolute paths within arguments and variables are replaced by their place in the task's
        folder if they exist there or lie in a volume. What cannot work then: a path hard-coded in a program
        (/secrets/key must come by argument or variable, or relative to the working folder); /tmp written as such is
        the host's (TMPDIR is the task's own); volumes are not read-only but by their files' modes.

Either way processes, network and users are the host's: ports are shared by all tasks, USER is not followed.
"""

import asyncio
import os
import posixpath
import shutil
import sys
import tempfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from gcp_emulator.runtime import command
from gcp_emulator.runtime.errors import TaskInvalid
from gcp_emulator.runtime.image import Image
from gcp_emulator.runtime.model import Container, Volume
from gcp_emulator.runtime.process import ContainerProcess
from gcp_emulator.supervisor.order import Order


class Isolation(StrEnum):
    """How a container's absolute paths come true."""

    MOUNTS = "mounts"
    PATHS = "paths"


async def detect(work: Path) -> Isolation:
    """Tries an own root file system once and takes paths where that fails."""
    with tempfile.TemporaryDirectory(dir=work, prefix="detect-") as root:
        Path(root, "tmp").mkdir()
        Path(root, "marker").touch()
        order = Order(
            ("/bin/sh", "-c", "test -e /marker"), {}, "/", root=root, binds=((root, "/again", True),)
        )
        process = ContainerProcess("detect", lambda *_: None, lambda: None)
        await process.start(order)
        return Isolation.MOUNTS if (await process.wait()).code == 0 else Isolation.PATHS


def make_volumes(folder: Path, volumes: tuple[Volume, ...]) -> dict[str, Path]:
    """The folder of each volume by its name, made and filled. Blocking."""
    found: dict[str, Path] = {}
    for volume in volumes:
        path = Path(volume.path).absolute() if volume.path else folder / "volumes" / volume.name
        path.mkdir(parents=True, exist_ok=True)
        for name, secret in volume.files.items():
            file = path / name
            if not file.resolve().is_relative_to(path.resolve()):
                raise TaskInvalid(f"Volume '{volume.name}' has a file '{name}' outside of itself.")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(secret.content)
            file.chmod(secret.mode)
        found[volume.name] = path
    return found


class Sandbox:
    """One container's view, made below `folder`; `written` are the host folders that count as its memory."""

    def __init__(self, folder: Path, image: Image, container: Container, environment: Path) -> None:
        self._root = folder / "containers" / container.name
        self._image = image
        self._container = container
        self._environment = environment
        self._workdir = posixpath.normpath(posixpath.join("/", container.working_dir or image.workdir))

    def make(self) -> None:
        """Copies the image's files and makes the folders that must be there. Blocking."""
        for path in ("/tmp", command.HOME, self._workdir):
            self._inside(path).mkdir(parents=True, exist_ok=True)
        self._inside("/tmp").chmod(0o1777)
        for path, file in self._image.files.items():
            target = self._inside(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.source, target, follow_symlinks=False)
            if file.mode is not None and not target.is_symlink():
                target.chmod(file.mode)

    def order(
        self,
        isolation: Isolation,
        volumes: Mapping[str, tuple[Path, bool]],
        extra: Mapping[str, str],
        disk: tuple[Path, ...],
        defaults: Mapping[str, str],
    ) -> Order:
        """What the supervisor is told; `volumes` are (folder, read-only) by name, `defaults` are variables that
        the image and the job may set otherwise. Blocking. Raises TaskInvalid.
        """
        argv = command.command_line(self._image, self._container, self._environment)
        own = command.variables(self._image, self._container, self._environment)
        env = {**defaults, **own, **extra}
        written = tuple(map(str, (self._root, *disk)))
        binds = self._binds(volumes)
        if isolation is Isolation.MOUNTS:
            binds += [(path, path, False) for path in self._of_the_host(argv, env)]
            return Order(argv, env, self._workdir, str(self._root), tuple(binds), written)
        for source, target, _ in binds:
            self._link(source, target)
        return self._mapped(argv, env, written, tuple(target for _, target, _ in binds))

    def _binds(self, volumes: Mapping[str, tuple[Path, bool]]) -> list[tuple[str, str, bool]]:
        """(host folder, mount path, read-only), a mount within another one after it."""
        binds = []
        for mount in self._container.mounts:
            target = posixpath.normpath(mount.path)
            if mount.volume not in volumes:
                wrong = "is no volume"
            elif target == "/" or not target.startswith("/"):
                wrong = f"cannot be mounted at '{mount.path}'"
            else:
                path, read_only = volumes[mount.volume]
                binds.append((str(path), target, read_only))
                continue
            raise TaskInvalid(f"Container '{self._container.name}' mounts '{mount.volume}', which {wrong}.")
        return sorted(binds, key=lambda bind: bind[1])

    def _mapped(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        written: tuple[str, ...],
        mounted: tuple[str, ...],
    ) -> Order:
        root = str(self._root)

        def exists(path: str) -> bool:
            """What lies below a mount may yet be made there."""
            return os.path.lexists(root + path) or path.startswith(tuple(f"{target}/" for target in mounted))

        argv = tuple(command.map_paths(word, exists, root) for word in argv)
        env = {
            name: (command.map_search_path if name == "PATH" else command.map_paths)(value, exists, root)
            for name, value in env.items()
        }
        return Order(argv, env, root + self._workdir, disk=written)

    def _of_the_host(self, argv: tuple[str, ...], env: Mapping[str, str]) -> list[str]:
        """What must show through a private /tmp: the environment, and files of the host that the job names."""
        wanted = {str(self._environment), sys.base_prefix, sys.prefix}
        for path in command.named_paths(argv, env):
            if not self._inside(path).exists():
                wanted.add(_existing_folder(path))
        return sorted(path for path in wanted if path.startswith("/tmp/"))

    def _link(self, source: str, target: str) -> None:
        place = self._inside(target)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)  # a mount hides what the image has there
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(source)

    def _inside(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def _existing_folder(path: str) -> str:
    """The path itself if it is a folder, else the nearest one above: the job may yet make what lies between."""
    path = posixpath.normpath(path)
    while not os.path.isdir(path):
        path = posixpath.dirname(path)
    return path


def remove(folder: Path) -> None:
    """Removes a task's folder, also where the task took its own rights away. Blocking."""
    for path, names, _ in os.walk(folder):
        for name in names:
            inner = os.path.join(path, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


async def discard(folder: Path) -> None:
    """`remove` off the event loop, finished even if the caller is cancelled."""
    await asyncio.shield(asyncio.to_thread(remove, folder))
