"""A folder of images made by the test, and a runtime that runs them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gcp_emulator.runtime import Isolation, Runtime
from gcp_emulator.runtime.model import Container, TaskResult, TaskSpec
from gcp_emulator.runtime.sandbox import detect

PYTHON_IMAGE = 'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["python", "main.py"]\n'
SHELL_IMAGE = "FROM debian\nWORKDIR /app\nCOPY . .\n"


async def no_metadata(service_account: str, project: str) -> str:
    """Stands for a metadata server that no test here talks to."""
    return "127.0.0.1:9"


@dataclass
class Run:
    """One attempt's end and what it wrote, as (container, stream, line)."""

    result: TaskResult
    log: list[tuple[str, str, str]]

    @property
    def lines(self) -> list[str]:
        return [line for _, _, line in self.log]


@dataclass
class World:
    """Images to add and tasks to run."""

    folder: Path
    env_cache: Path
    isolation: Isolation | None = None

    def __post_init__(self) -> None:
        self.images.mkdir(parents=True, exist_ok=True)

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def image(self, name: str, dockerfile: str = PYTHON_IMAGE, **files: str) -> Path:
        """Adds a folder; `main_py="..."` is its file main.py."""
        folder = self.images / name
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(dockerfile)
        for file, content in files.items():
            path = folder / file.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return folder

    def runtime(self) -> Runtime:
        return Runtime(self.images, self.env_cache, self.work, no_metadata, self.isolation)

    def run(self, spec: TaskSpec, cancel_at: str | None = None) -> Run:
        """Runs one attempt, set to cancel when a line `cancel_at` is written."""
        return asyncio.run(self._run(spec, cancel_at))

    async def _run(self, spec: TaskSpec, cancel_at: str | None) -> Run:
        runtime = self.runtime()
        cancel = asyncio.Event()
        log: list[tuple[str, str, str]] = []

        def sink(container: str, stream: str, line: str) -> None:
            log.append((container, stream, line))
            if line == cancel_at:
                cancel.set()

        try:
            return Run(await runtime.run(spec, sink, cancel), log)
        finally:
            await runtime.close()

    def python(self, code: str, cancel_at: str | None = None, **spec: object) -> Run:
        """Runs Python code as the only container of a task."""
        self.image("code", main_py=code)
        return self.run(self.task("code", **spec), cancel_at)

    def shell(self, script: str, cancel_at: str | None = None, **spec: object) -> Run:
        """Runs a shell script as the only container of a task."""
        if not (self.images / "script").exists():
            self.image("script", SHELL_IMAGE)
        return self.run(self.task("script", command=("/bin/sh", "-c", script), **spec), cancel_at)

    @staticmethod
    def task(image: str, **fields: object) -> TaskSpec:
        """A task of one container; fields of the container and of the task by their names."""
        of_task = {
            name: fields.pop(name) for name in ("volumes", "timeout_s", "service_account") if name in fields
        }
        return TaskSpec("task", (Container("main", image, **fields),), project="p", **of_task)  # type: ignore[arg-type]

    def script(self, name: str, script: str, **fields: object) -> Container:
        """A container that runs a shell script."""
        if not (self.images / "script").exists():
            self.image("script", SHELL_IMAGE)
        return Container(name, "script", command=("/bin/sh", "-c", script), **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def env_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all tests, and by the workers of a parallel run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "environments"


@pytest.fixture
def world(tmp_path: Path, env_cache: Path) -> World:
    return World(tmp_path, env_cache)


@pytest.fixture(scope="session")
def possible(tmp_path_factory: pytest.TempPathFactory) -> Isolation:
    """What this machine can do."""
    return asyncio.run(detect(tmp_path_factory.mktemp("detect")))


@pytest.fixture(params=list(Isolation))
def each_world(request: pytest.FixtureRequest, world: World, possible: Isolation) -> World:
    """Once with a root file system of the container's own, once with mapped paths."""
    if request.param is Isolation.MOUNTS and possible is not Isolation.MOUNTS:
        pytest.skip("this machine refuses mount namespaces")
    world.isolation = request.param
    return world


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so, for at most ten seconds."""

    def wait(so: Callable[[], bool]) -> None:
        async def loop() -> None:
            while not so():
                await asyncio.sleep(0.01)

        asyncio.run(asyncio.wait_for(loop(), 10))

    return wait
