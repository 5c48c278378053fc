"""The emulator's side of one container: its supervisor process, its output and its use of memory."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gcp_emulator.runtime.output import follow
from gcp_emulator.supervisor.order import TERMINATE, Order

logger = logging.getLogger(__name__)
_PACKAGES = Path(__file__).parents[2]
_OUTPUT_AFTER_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container's own process ended: exit code, signal (0: none), processor seconds of its whole tree.

    `refused` says why it was never started (exit code 127: no such command, 126: not executable, 125: else).
    """

    code: int
    signal: int = 0
    cpu_seconds: float = 0.0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class _Pipe:
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport


class ContainerProcess:
    """A container from its start to its end; `memory_bytes` is what it holds now, disk included."""

    def __init__(self, name: str, emit: Callable[[str, str], None], on_memory: Callable[[], None]) -> None:
        self.name = name
        self.memory_bytes = 0
        self._emit = emit
        self._on_memory = on_memory
        self._started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._end: asyncio.Task[Exit] | None = None

    async def start(self, order: Order) -> bool:
        """True when the command runs, False when it could not be started: `wait` says why."""
        pipes = [os.pipe() for _ in range(3)]
        theirs = [write for _, write in pipes]
        status, out, err = [await _reader(read) for read, _ in pipes]
        search = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gcp_emulator.supervisor", *map(str, theirs)),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=theirs,
                env={**os.environ, "PYTHONPATH": search},
                start_new_session=True,
            )
        finally:
            for fd in theirs:
                os.close(fd)
        self._end = asyncio.create_task(
            self._watch(status, {"stdout": out, "stderr": err}), name=f"container {self.name}"
        )
        self._say(order.encode())
        return await asyncio.shield(self._started)

    @property
    def ended(self) -> bool:
        """Whether nothing of the container runs any more."""
        return self._end is None or self._end.done()

    async def wait(self) -> Exit:
        """The container's end, when all its processes are gone and all its output was taken."""
        assert self._end is not None
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """SIGTERM to the container's process group."""
        self._say(TERMINATE)

    def kill(self) -> None:
        """SIGKILL to every process of the container."""
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def _say(self, data: bytes) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    async def _watch(self, status: _Pipe, outputs: dict[str, _Pipe]) -> Exit:
        assert self._process is not None
        following = {
            asyncio.create_task(follow(pipe.reader, partial(self._emit, stream))): pipe
            for stream, pipe in outputs.items()
        }
        end = await self._read_status(status.reader)
        self.memory_bytes = 0
        await self._process.wait()
        self.kill()
        _, late = await asyncio.wait(following, timeout=_OUTPUT_AFTER_END_S)
        for task in late:
            logger.warning("container %s: its output is still held open by another process", self.name)
            task.cancel()
            following[task].transport.close()
        if not self._started.done():
            self._started.set_result(False)
        return end

    async def _read_status(self, status: asyncio.StreamReader) -> Exit:
        end = Exit(137, 9)  # stands if the supervisor itself was killed
        async for line in status:
            said = json.loads(line)
            if "started" in said:
                self._started.set_result(True)
            elif "refused" in said:
                end = Exit(said["refused"], refused=said["reason"])
            elif "code" in said:
                end = Exit(said["code"], said["signal"], said["cpu"])
            else:
                self.memory_bytes = said["memory"] + said["disk"]
                self._on_memory()
        return end


async def _reader(fd: int) -> _Pipe:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
    )
    return _Pipe(reader, transport)
