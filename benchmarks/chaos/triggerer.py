"""A triggerer of the small Airflow: all its triggers in one event loop, as Airflow's runner has them."""

import asyncio
import itertools
import os
import signal
import threading
from importlib import import_module
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time import task_runner
from benchmarks.chaos.line import Refused

ON_KILL_S = 1.0  # Airflow's runner cuts on_kill off after it


class Runner:
    """Runs triggers until its scheduler goes away."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._questions: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._running: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Take orders: run a trigger, stop one, or hear an answer."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        await loop.create_future()

    async def ask(self, what: str, *details: Any) -> Any:
        """Ask Airflow; raises Refused."""
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._tell("ask", number, what, details)
        fine, value = await answer
        if not fine:
            raise Refused(value)
        return value

    async def asend(self, message: Any) -> Any:
        """What stands where a triggerer has its supervisor: as far as our triggers ask."""
        match type(message).__name__:
            case "GetTaskStates":
                return SimpleNamespace(
                    task_states={message.run_ids[0]: {"job": await self.ask("state", message.run_ids[0])}}
                )
            case "GetXCom":
                return SimpleNamespace(value=await self.ask("xcom", message.run_id))
        return None

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while True:
                loop.call_soon_threadsafe(self._obey, *self._connection.recv())
        except (EOFError, OSError):
            os._exit(2)

    def _obey(self, what: str, number: int, *details: Any) -> None:
        if what == "answer":
            self._questions.pop(number).set_result(details)
        elif what == "run":
            path, kwargs = details
            module, _, name = path.rpartition(".")
            trigger = getattr(import_module(module), name)(**kwargs)
            trigger.trigger_id = number
            self._running[number] = (trigger, asyncio.ensure_future(self._run(number, trigger)))
        elif what == "stop" and number in self._running:
            work = asyncio.ensure_future(self._stop(*self._running.pop(number)))
            self._stopping.add(work)
            work.add_done_callback(self._stopping.discard)

    async def _run(self, number: int, trigger: Any) -> None:
        try:
            event = await anext(trigger.run())
            self._tell("event", number, event.payload)
        except StopAsyncIteration:
            self._tell("event", number, None)
        self._running.pop(number, None)

    @staticmethod
    async def _stop(trigger: Any, running: "asyncio.Task[None]") -> None:
        """As Airflow's runner does to a trigger whose row is gone: on_kill, at most so long, then cancelled."""
        try:
            async with asyncio.timeout(ON_KILL_S):
                await trigger.on_kill()
        except TimeoutError:
            pass
        running.cancel()

    def _tell(self, *words: Any) -> None:
        with self._lock:
            self._connection.send(words)


def main(connection: "Connection[Any, Any]", _: Any) -> None:
    """Run until killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    runner = Runner(connection)
    task_runner.SUPERVISOR_COMMS = runner  # type: ignore[assignment]
    asyncio.run(runner.serve())
