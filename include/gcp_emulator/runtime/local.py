"""Runs tasks as local processes: the emulator's only door to what a container does."""

import asyncio
import contextlib
import os
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from gcp_emulator.runtime.attempt import Attempt
from gcp_emulator.runtime.environments import Environments
from gcp_emulator.runtime.errors import ImageNotFound, RuntimeFailure, TaskInvalid
from gcp_emulator.runtime.image import Image, find_image
from gcp_emulator.runtime.model import End, LogSink, TaskResult, TaskSpec
from gcp_emulator.runtime.pretend import pretend, pretends
from gcp_emulator.runtime.sandbox import Isolation, Sandbox, detect, discard, make_volumes
from gcp_emulator.runtime.standins import COMMANDS, VM, stand_in
from gcp_emulator.supervisor.order import Order

Metadata = Callable[[str, str], Awaitable[str]]
_NOT_STARTED = 125  # the exit code that `docker run` has for a container that it could not start


class Runtime:
    """Runs one attempt of one task at a time for as many callers as there are.

    `images`: folder of image folders; `env_cache`: where virtual environments are kept, may be shared between
    processes; `work`: where each attempt gets a folder that is removed at its end; `metadata`: gives the
    "host:port" of a metadata server for a service account and project; `isolation`: see sandbox.py, found
    out by trying if not given.
    """

    def __init__(
        self,
        images: Path,
        env_cache: Path,
        work: Path,
        metadata: Metadata,
        isolation: Isolation | None = None,
    ) -> None:
        self._images = images.absolute()
        self._environments = Environments(env_cache.absolute())
        self._work = work.absolute()
        self._metadata = metadata
        self._isolation = isolation
        self.surroundings: Mapping[str, str] = {}  # what every container finds set, unless it sets it itself
        self.unmounted: Callable[[Path, str], None] | None = (
            None  # blocking: (host folder, project), at an attempt's end
        )
        self._opening: asyncio.Task[Isolation] | None = None
        self._closing = asyncio.Event()
        self._running: set[asyncio.Task[TaskResult]] = set()

    async def resolve(self, image: str) -> Image:
        """The image that the URI names: a folder, or a stand-in. Raises ImageNotFound and ImageInvalid."""
        try:
            return await asyncio.to_thread(find_image, self._images, image)
        except ImageNotFound as error:
            if found := stand_in(image):
                return found
            public = ", ".join(sorted(COMMANDS.keys() - {VM}))
            raise ImageNotFound(
                image, f"{error.how_to_add} Public images that need none: {public}."
            ) from None

    async def prepare(self, image: str) -> None:
        """Makes the image's environment if it is not there. Raises ImageNotFound, ImageInvalid, EnvironmentFailed."""
        await self._environments.ensure((await self.resolve(image)).requirements)

    async def run(self, spec: TaskSpec, log: LogSink, cancel: asyncio.Event | None = None) -> TaskResult:
        """Runs one attempt to its end, whatever that is; a task that cannot start is a result too.

        Setting `cancel` ends it as Cloud Run does (SIGTERM, ten seconds, SIGKILL) and gives a result;
        cancelling the call itself kills at once.
        """
        task = asyncio.create_task(self._attempt(spec, log, cancel or asyncio.Event()), name=spec.name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await task

    async def close(self) -> None:
        """Cancels what runs, waits for its end and takes no more."""
        self._closing.set()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._opening:
            await asyncio.wait({self._opening})
        await self._environments.close()

    async def _attempt(self, spec: TaskSpec, log: LogSink, cancel: asyncio.Event) -> TaskResult:
        begin = datetime.now(UTC)
        folder = self._work / f"{os.getpid()}-{_file_name(spec.name)}-{uuid.uuid4().hex[:8]}"
        try:
            if pretends(spec):
                return await pretend(spec, log, cancel, self._closing)
            orders = await self._unless_stopped(self._prepare(spec, folder), cancel, self._closing)
            if orders is None:
                message = "The task was cancelled before it started."
                return TaskResult(143, End.CANCELLED, message, begin, datetime.now(UTC))
            try:
                return await Attempt(spec, orders, log, cancel, self._closing).run()
            finally:
                await self._unmount(spec)
        except (RuntimeFailure, OSError) as error:
            return TaskResult(_NOT_STARTED, End.NOT_STARTED, str(error), begin, datetime.now(UTC))
        finally:
            await discard(folder)

    async def _unmount(self, spec: TaskSpec) -> None:
        for volume in spec.volumes:
            if volume.path and self.unmounted:
                await asyncio.to_thread(self.unmounted, Path(volume.path), spec.project)

    async def _prepare(self, spec: TaskSpec, folder: Path) -> dict[str, Order]:
        check(spec)
        isolation = await self._once_open()
        images = {container.name: await self.resolve(container.image) for container in spec.containers}
        environments = {
            name: await self._environments.ensure(image.requirements) for name, image in images.items()
        }
        extra = {}
        if spec.service_account:
            address = await self._metadata(spec.service_account, spec.project)
            extra = {"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address}
        making = asyncio.create_task(
            asyncio.to_thread(self._make, spec, folder, isolation, images, environments, extra)
        )
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.wait({making})  # else the folder would grow while it is removed
            raise

    def _make(
        self,
        spec: TaskSpec,
        folder: Path,
        isolation: Isolation,
        images: Mapping[str, Image],
        environments: Mapping[str, Path],
        extra: Mapping[str, str],
    ) -> dict[str, Order]:
        paths = make_volumes(folder, spec.volumes)
        volumes = {
            volume.name: (paths[volume.name], volume.read_only or bool(volume.files))
            for volume in spec.volumes
        }
        in_memory = tuple(paths[volume.name] for volume in spec.volumes if volume.path is None)
        orders: dict[str, Order] = {}
        for container in spec.containers:
            sandbox = Sandbox(folder, images[container.name], container, environments[container.name])
            sandbox.make()
            # volumes are counted once, with the first container
            order = sandbox.order(
                isolation, volumes, extra, () if orders else in_memory, defaults=self.surroundings
            )
            orders[container.name] = order if spec.disk_is_memory else replace(order, disk=())
        return orders

    async def _open(self) -> Isolation:
        """Removes what a killed emulator left behind and finds out the isolation."""
        self._work.mkdir(parents=True, exist_ok=True)
        for left in self._work.iterdir():
            owner = left.name.split("-")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                await discard(left)
        return self._isolation or await detect(self._work)

    async def _once_open(self) -> Isolation:
        """`_open`, once for all; a caller that is cancelled does not stop it."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="opening the runtime")
        return await asyncio.shield(self._opening)

    @staticmethod
    async def _unless_stopped(
        preparing: Awaitable[dict[str, Order]], *stops: asyncio.Event
    ) -> dict[str, Order] | None:
        task = asyncio.ensure_future(preparing)
        waits = [asyncio.create_task(stop.wait()) for stop in stops]
        try:
            await asyncio.wait({task, *waits}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for waiting in (task, *waits):
                waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task, *waits})


def check(spec: TaskSpec) -> None:
    """Raises TaskInvalid where names contradict each other."""
    names = [container.name for container in spec.containers]
    if not names or len(set(names)) < len(names):
        raise TaskInvalid(f"A task needs containers with names of their own, got {names}.")
    if spec.main and spec.main not in names:
        raise TaskInvalid(f"The main container '{spec.main}' is none of {names}.")
    for container in spec.containers:
        for name in container.depends_on:
            if name not in names:
                raise TaskInvalid(
                    f"Container '{container.name}' depends on '{name}', which is none of {names}."
                )
    try:
        TopologicalSorter({container.name: container.depends_on for container in spec.containers}).prepare()
    except CycleError as error:
        raise TaskInvalid(
            f"Containers depend on each other in a circle: {' -> '.join(error.args[1])}."
        ) from None


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)[-60:]
