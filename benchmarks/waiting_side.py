"""One side of `make bench-waiting` in a process of its own: N triggers in Airflow's own TriggerRunner.

`python waiting_side.py PLAN RESULT`: PLAN is JSON {"side", "jobs": [[name, uid]...], "groups", "spread_s", "steady_s",
"url", "front"}; the jobs wait for machines, group n for type `bench-n`, until a fault lets the group fail.
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PATIENCE_S = 180.0


@dataclass
class Emulator:
    """What the benchmark asks of the emulator, blocking."""

    url: str

    def count(self, method: str) -> int:
        """How often anybody called a method since it started."""
        with urllib.request.urlopen(f"{self.url}/emulator/calls") as answer:
            calls = json.load(answer)["calls"]
        return sum(call["count"] for call in calls if call["method"].endswith(f"/{method}"))

    def faults(self) -> dict[str, str]:
        """Ids of the faults that keep jobs waiting, by machine type."""
        with urllib.request.urlopen(f"{self.url}/emulator/faults") as answer:
            faults = json.load(answer)["faults"]
        return {fault["machine_type"]: fault["id"] for fault in faults if not fault["fails"]}

    def keep_waiting(self, machine_type: str) -> None:
        """There are no machines of this type."""
        self._send("POST", "", {"kind": "exhaust", "machine_type": machine_type})

    def let_fail(self, machine_type: str, waiting: str) -> None:
        """The jobs that wait for this machine type fail now."""
        self._send("POST", "", {"kind": "exhaust", "machine_type": machine_type, "fails": True})
        self._send("DELETE", f"/{waiting}")

    def _send(self, method: str, path: str, body: Any = None) -> None:
        data = json.dumps(body).encode() if body else None
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/emulator/faults{path}", data, headers, method=method)
        urllib.request.urlopen(request).close()


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


async def measure(plan: dict[str, Any], log: Any) -> dict[str, Any]:
    """Waits for all jobs and gives the figures; `fired` holds each event's time and payload."""
    import google.cloud.batch_v1
    import google.pubsub_v1  # noqa: F401 - what both sides load is no waiter's memory

    jobs, emulator = plan["jobs"], Emulator(plan["url"])
    triggers = ours(jobs) if plan["side"] == "ours" else stock(jobs, plan["front"])
    process = psutil.Process()
    reads, rss = await asyncio.to_thread(_reads, emulator), process.memory_info().rss
    runner = Runner(triggers, log)
    tasks = runner.start()
    await _until(lambda: _reads(emulator) - reads >= len(jobs))
    await asyncio.sleep(2)
    before = (await asyncio.to_thread(_reads, emulator), _cpu(), time.monotonic())
    await asyncio.sleep(plan["steady_s"])
    after = (await asyncio.to_thread(_reads, emulator), _cpu(), time.monotonic())
    job_minutes = len(jobs) * (after[2] - before[2]) / 60
    steady = {
        "reads_per_job_minute": (after[0] - before[0]) / job_minutes,
        "cpu_ms_per_job_minute": (after[1] - before[1]) * 1000 / job_minutes,
        "rss_kb_per_waiter": (process.memory_info().rss - rss) / 1024 / len(jobs),
        "sockets": len([c for c in process.net_connections("tcp") if c.status == "ESTABLISHED"]),
    }
    held = await asyncio.to_thread(emulator.faults)
    for machine_type, fault in sorted(held.items()):
        await asyncio.to_thread(emulator.let_fail, machine_type, fault)
        await asyncio.sleep(plan["spread_s"] / len(held))
    await asyncio.wait(tasks, timeout=PATIENCE_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    fired = {jobs[number][0]: [at, payload] for number, (at, payload) in runner.fired.items()}
    return {**steady, "fired": fired, "woken_by": _woken_by(plan["side"])}


def _reads(emulator: Emulator) -> int:
    return emulator.count("GetJob") + emulator.count("ListJobs")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _woken_by(side: str) -> dict[str, int]:
    if side != "ours":
        return {"event": 0, "first_read": 0, "sweep": 0}
    from gcp_jobs.clients import Access
    from gcp_jobs.hub import hub_for
    from gcp_jobs.hub.counts import WOKEN

    hub = hub_for(Access())
    return {by: hub.counts[count] if hub else 0 for by, count in WOKEN.items()}


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Path("triggers.log").open("w") as log:
        figures = asyncio.run(measure(json.loads(Path(sys.argv[1]).read_text()), log))
    Path(sys.argv[2]).write_text(json.dumps(figures))
