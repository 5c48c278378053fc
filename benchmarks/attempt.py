"""One try of an operator as Airflow makes it: execute; if it defers, run its trigger in a TriggerRunner; resume."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TextIO

import structlog


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a task ended: its result where it succeeded, else what its error says."""

    succeeded: bool
    said: str
    result: Any = None


@dataclass(slots=True)
class Try:
    """The task instance that an operator's context holds."""

    task_id: str
    dag_id: str = "benchmarks"
    run_id: str = field(default_factory=lambda: f"manual__{uuid.uuid4().hex[:12]}")
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0

    def xcom_push(self, key: str, value: Any) -> None:
        """Nobody asks for what links need."""


async def attempt(operator: Any, ready: Callable[[], Awaitable[Any]] | None = None) -> Verdict:
    """Run the operator to its end; `ready` is awaited before its trigger starts."""
    from airflow.sdk.exceptions import TaskDeferred

    context: dict[str, Any] = {"ti": Try(operator.task_id)}
    try:
        try:
            result = await asyncio.to_thread(operator.execute, context)
        except TaskDeferred as deferred:
            if ready:
                await ready()
            event = await _fired(deferred.trigger)
            kwargs = {**(deferred.kwargs or {}), "event": event}
            result = await asyncio.to_thread(operator.resume_execution, deferred.method_name, kwargs, context)
    except Exception as error:  # whatever it is, it is what the user reads
        return Verdict(False, f"{type(error).__name__}: {error}")
    return Verdict(True, "", result)


async def _fired(trigger: Any) -> dict[str, Any]:
    """The payload of the trigger's event; the trigger is rebuilt from its serialisation, as a triggerer does."""
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(import_module(module), name)(**kwargs)
    rebuilt.task_instance = None
    runner: Any = TriggerRunner()
    runner.log = structlog.get_logger()
    runner.triggers[0] = {"task": None, "is_watcher": False, "name": path, "events": 0}
    await runner.run_trigger(0, rebuilt)
    payload: dict[str, Any] = runner.events.popleft().event.payload
    return payload


def log_to(file: TextIO) -> None:
    """Send all that Airflow and the operators log to a file, one text line each."""
    import airflow.jobs.triggerer_job_runner  # noqa: F401 - sets up logging of its own

    logging.basicConfig(stream=file, level=logging.INFO, format="%(message)s", force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=False,
    )
