"""What a container executes and with which environment. Pure but for looking at which files exist."""

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from gcp_emulator.runtime.dockerfile import DEFAULT_PATH
from gcp_emulator.runtime.errors import ImageInvalid
from gcp_emulator.runtime.image import Image
from gcp_emulator.runtime.model import Container

HOME = "/home/job"
_PATH_IN_TEXT = re.compile(r"(?<![\w./@$-])/[\w.@%+~-]+(?:/[\w.@%+~-]+)*/?")


def command_line(image: Image, container: Container, environment: Path) -> tuple[str, ...]:
    """ENTRYPOINT and CMD with the container's overrides; an interpreter given by its path in the image
    (/usr/local/bin/python, /opt/venv/bin/dlt) becomes the one of the environment. Raises ImageInvalid.
    """
    if container.command:
        argv = (*container.command, *container.args)
    else:
        argv = (*image.entrypoint, *(container.args or image.cmd))
    if not argv:
        raise ImageInvalid(image.uri, "neither its Dockerfile nor the job gives a command (ENTRYPOINT, CMD).")
    program = environment / "bin" / posixpath.basename(argv[0])
    if argv[0].startswith("/") and argv[0] not in image.files and program.exists():
        return (str(program), *argv[1:])
    return argv


def variables(image: Image, container: Container, environment: Path) -> dict[str, str]:
    """The image's ENV, then the job's, over the little that every container has; nothing of the emulator's own.

    PYTHONUNBUFFERED is set, unless they set it, so that lines arrive while the task runs: output is a pipe
    here, and Python would hold it back.
    """
    base = {"HOME": HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    env = {**base, **image.env, **container.env}
    env["PATH"] = f"{environment / 'bin'}:{env.get('PATH', DEFAULT_PATH)}"
    return env


def map_paths(text: str, exists: Callable[[str], bool], root: str) -> str:
    """Puts `root` before each absolute path in the text that exists below it, or whose folder does."""

    def mapped(found: re.Match[str]) -> str:
        path = found[0]
        folder = posixpath.dirname(path.rstrip("/"))
        return root + path if exists(path) or (folder != "/" and exists(folder)) else path

    return _PATH_IN_TEXT.sub(mapped, text)


def map_search_path(text: str, exists: Callable[[str], bool], root: str) -> str:
    """PATH: a folder that the container has comes before the host's folder of the same name."""
    entries = []
    for entry in text.split(":"):
        entries += [root + entry, entry] if entry.startswith("/") and exists(entry) else [entry]
    return ":".join(entries)


def named_paths(argv: tuple[str, ...], env: Mapping[str, str]) -> set[str]:
    """All absolute paths that the command line and the environment name."""
    return {path for text in (*argv, *env.values()) for path in _PATH_IN_TEXT.findall(text)}
