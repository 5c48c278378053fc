"""One side of `make bench-waiting` in a process of its own: N triggers in Airflow's own TriggerRunner.

`python waiting_side.py PLAN RESULT`: PLAN is JSON {"side", "jobs": [[name, uid]...], "front"}. Says `idle` when all is
loaded, waits for a line, starts the triggers, says `waiting` when each has read its job. RESULT is there when all have
fired; at the next line it is written in any case, and the process ends.
"""

import asyncio
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

LOOK_S = 0.25
# what both sides load is no waiter's memory
LOADED = (
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.google.cloud.triggers.cloud_batch",
    "gcp_jobs.backends.choice",
    "gcp_jobs.identity",
    "gcp_jobs.triggers.job",
    "google.cloud.batch_v1",
    "google.pubsub_v1",
)


@dataclass
class Runner:
    """Airflow's TriggerRunner without its supervisor: it is given triggers and hands over their events."""

    triggers: list[Any]
    log: Any
    fired: dict[int, tuple[float, dict[str, Any]]] = field(default_factory=dict)

    def start(self) -> list[asyncio.Task[Any]]:
        """Runs every trigger as the triggerer does."""
        import structlog
        from airflow.jobs.triggerer_job_runner import TriggerRunner

        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=structlog.WriteLoggerFactory(self.log),
        )
        runner = TriggerRunner()
        runner.log = structlog.get_logger()
        runner.events = _Events(self.fired)  # type: ignore[assignment]
        tasks = []
        for number, trigger in enumerate(self.triggers):
            trigger.task_instance = None
            about = {"task": None, "is_watcher": False, "name": f"trigger-{number}", "events": 0}
            runner.triggers[number] = about  # type: ignore[assignment]
            tasks.append(asyncio.create_task(runner.run_trigger(number, trigger)))
        return tasks


class _Events:
    """In the place of the runner's queue of events: keeps the first of each trigger and when it came."""

    def __init__(self, fired: dict[int, tuple[float, dict[str, Any]]]) -> None:
        self._fired = fired

    def append(self, event: Any) -> None:
        self._fired.setdefault(event.trigger_id, (time.time(), event.event.payload))


def ours(jobs: list[list[str]]) -> list[Any]:
    """Our triggers."""
    from gcp_jobs.clients import Access
    from gcp_jobs.model import JobRef
    from gcp_jobs.triggers.job import JobTrigger

    found = []
    for name, uid in jobs:
        parts = name.split("/")
        ref = JobRef("batch", parts[1], parts[3], parts[5], uid=uid)
        found.append(JobTrigger(ref.to_dict(), Access().to_dict(), follow_log=False))
    return found


def stock(jobs: list[list[str]], front: str) -> list[Any]:
    """The Google provider's, which build their own clients over TLS; only endpoint and credentials are changed."""
    from airflow.providers.google.cloud.triggers.cloud_batch import CloudBatchJobFinishedTrigger
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    hook: Any = GoogleBaseHook
    hook.get_credentials = lambda self: AnonymousCredentials()
    hook.get_client_options = lambda self, **_: ClientOptions(api_endpoint=front)
    return [
        CloudBatchJobFinishedTrigger(
            job_name=name, project_id=name.split("/")[1], location=name.split("/")[3]
        )
        for name, _ in jobs
    ]


async def run(plan: dict[str, Any], log: Any, write: Callable[[str], Any]) -> None:
    """Waits for all jobs; writes time and payload of each one's event (`fired`, by name), and what woke the waits."""
    for module in LOADED:
        import_module(module)

    jobs, lines, parent = plan["jobs"], await _lines(), _parent()
    print("idle", file=parent, flush=True)
    await lines.readline()
    runner = Runner(ours(jobs) if plan["side"] == "ours" else stock(jobs, plan["front"]), log)
    tasks = runner.start()
    telling = asyncio.create_task(_tell(plan["side"], len(jobs), parent))
    stop = asyncio.create_task(lines.readline())
    over: set[asyncio.Future[Any]] = {asyncio.gather(*tasks), stop}
    await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
    fired = {jobs[number][0]: [at, payload] for number, (at, payload) in runner.fired.items()}
    write(json.dumps({"fired": fired, "woken_by": _woken_by(plan["side"])}))
    await stop
    for task in (*tasks, telling):
        task.cancel()
    await asyncio.gather(*tasks, telling, return_exceptions=True)


def _parent() -> TextIO:
    """Who started us; what else is printed, such as Airflow's log lines, goes to stderr from now on."""
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return parent


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def _tell(side: str, count: int, parent: TextIO) -> None:
    """Our waits know best when each of them has begun; how often the others read is seen from outside."""
    while side == "ours" and _begun() < count:
        await asyncio.sleep(LOOK_S)
    print("waiting", file=parent, flush=True)


def _begun() -> int:
    from gcp_jobs.clients import Access
    from gcp_jobs.hub import hub_for
    from gcp_jobs.hub.counts import Count

    hub = hub_for(Access())
    return hub.counts[Count.FIRST_READS] + hub.counts[Count.FIRST_LISTED] if hub else 0


def _woken_by(side: str) -> dict[str, int]:
    if side != "ours":
        return {"event": 0, "first_read": 0, "sweep": 0}
    from gcp_jobs.clients import Access
    from gcp_jobs.hub import hub_for
    from gcp_jobs.hub.counts import WOKEN

    hub = hub_for(Access())
    return {by: hub.counts[count] if hub else 0 for by, count in WOKEN.items()}


if __name__ == "__main__":
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def write(text: str) -> None:
        draft = Path(f"{sys.argv[2]}.draft")
        draft.write_text(text)
        draft.replace(sys.argv[2])

    with Path("triggers.log").open("w") as log:
        asyncio.run(run(json.loads(Path(sys.argv[1]).read_text()), log, write))
