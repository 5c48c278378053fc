"""An image that only pretends to run: tens of thousands of tasks side by side, for load tests and benchmarks.

Its name is gcp-emulator/pretend; its arguments are `seconds=2.5` (how long it seems to run), `exit=3` and `say=text`,
each optional and in any order. No process is started.
"""

import asyncio
import contextlib
from datetime import UTC, datetime

from gcp_emulator.runtime.errors import TaskInvalid
from gcp_emulator.runtime.model import End, LogSink, TaskResult, TaskSpec

IMAGE = "gcp-emulator/pretend"


def pretends(spec: TaskSpec) -> bool:
    return {container.image for container in spec.containers} == {IMAGE}


async def pretend(spec: TaskSpec, log: LogSink, *stops: asyncio.Event) -> TaskResult:
    """The result of one attempt, as if it had run. Raises TaskInvalid for arguments that are none of the above."""
    start, main = datetime.now(UTC), spec.containers[0]
    seconds, code = 0.0, 0
    for word in main.args:
        name, _, value = word.partition("=")
        try:
            if name == "seconds":
                seconds = float(value)
            elif name == "exit":
                code = int(value)
            elif name == "say":
                log(main.name, "stdout", value)
            else:
                raise ValueError
        except ValueError as error:
            raise TaskInvalid(f"{IMAGE} takes seconds=S, exit=CODE and say=TEXT, not '{word}'.") from error
    limit = spec.timeout_s
    stopped = await _stopped(seconds if limit is None else min(seconds, limit), stops)
    if stopped:
        return TaskResult(143, End.CANCELLED, "The task was cancelled.", start, datetime.now(UTC))
    if limit is not None and seconds > limit:
        said = f"Terminating task because it has reached the maximum timeout of {limit:g} seconds."
        return TaskResult(137, End.TIMED_OUT, said, start, datetime.now(UTC))
    said = f"Container called exit({code})." if code else ""
    return TaskResult(code, End.EXITED, said, start, datetime.now(UTC))


async def _stopped(seconds: float, stops: tuple[asyncio.Event, ...]) -> bool:
    """Let the time pass; whether something came between."""
    waits = [asyncio.ensure_future(stop.wait()) for stop in stops]
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return any(stop.is_set() for stop in stops)
    finally:
        for waiting in waits:
            waiting.cancel()
