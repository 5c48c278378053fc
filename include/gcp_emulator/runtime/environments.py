"""Virtual environments for images: one for each content of requirements.txt, built once and kept."""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from gcp_emulator.runtime.errors import EnvironmentFailed

logger = logging.getLogger(__name__)
PROGRESS_S = 4.0
_LAST_LINES = 20
_READY = ".ready"
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]\s*(\S+)", re.MULTILINE)


class Environments:
    """A folder of virtual environments, shared safely by the processes of this machine.

    An environment is named by the hash of the requirements (with the files that they include) and of the
    interpreter, which is the emulator's own: the version in a Dockerfile's FROM is not looked at.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._building: dict[str, asyncio.Task[Path]] = {}

    async def ensure(self, requirements: Path | None) -> Path:
        """The folder of the environment, built first if it is not there. Raises EnvironmentFailed."""
        key = _key(requirements)
        folder = self._cache / key
        if (folder / _READY).is_file():
            return folder
        if key not in self._building:
            task = asyncio.create_task(self._build(folder, requirements), name=f"environment {key}")
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key, None))
        # a task that is cancelled while it waits does not stop the build: others may wait too
        return await asyncio.shield(self._building[key])

    async def close(self) -> None:
        """Stops what is being built."""
        for task in (tasks := list(self._building.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, folder: Path, requirements: Path | None) -> Path:
        name = f"{requirements.parent.name}/{requirements.name}" if requirements else "no requirements"
        async with _locked(folder.with_suffix(".lock"), f"environment for {name}"):
            if (folder / _READY).is_file():
                return folder
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            uv = find_uv()
            start = time.monotonic()
            await _install([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], None, name)
            if requirements:
                command = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
                await _install([*command, "-r", str(requirements)], requirements.parent, name)
                logger.info("environment for %s: ready after %.1f s", name, time.monotonic() - start)
            (folder / _READY).touch()
            return folder


def find_uv() -> str:
    """The uv beside the running interpreter, else the one on PATH. Raises EnvironmentFailed."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if not found:
        raise EnvironmentFailed("container images", "uv is missing: install it with `pip install uv`.")
    return found


def _key(requirements: Path | None) -> str:
    digest = hashlib.sha256(f"{platform.python_implementation()} {platform.python_version()}".encode())
    digest.update(f"{platform.machine()} {os.path.realpath(sys.executable)}".encode())
    for text in _texts(requirements) if requirements else ():
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:20]


def _texts(path: Path) -> list[str]:
    """The file and all that it includes, each once."""
    texts: dict[Path, str] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in texts and current.is_file():
            texts[current] = current.read_text(encoding="utf-8")
            waiting += [current.parent / name for name in _INCLUDE.findall(texts[current])]
    return list(texts.values())


@contextlib.asynccontextmanager
async def _locked(path: Path, what: str) -> AsyncIterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        said = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - said > PROGRESS_S:
                    said = time.monotonic()
                    logger.info("%s: another process builds it, waiting", what)
                await asyncio.sleep(0.05)
        yield  # closing the file gives the lock back, also when this process dies


async def _install(command: list[str], cwd: Path | None, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = asyncio.create_task(process.communicate())
    start = time.monotonic()
    try:
        while not (await asyncio.wait({output}, timeout=PROGRESS_S))[0]:
            logger.info("environment for %s: installing, %.0f s", name, time.monotonic() - start)
    finally:
        if process.returncode is None and not output.done():
            process.kill()
            await output
    if process.returncode:
        text = output.result()[0].decode(errors="replace").strip()
        raise EnvironmentFailed(name, "\n".join(text.splitlines()[-_LAST_LINES:]))
