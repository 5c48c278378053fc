"""`make conformance`: the verdicts of BatchJobOperator and of the stock CloudBatchSubmitJobOperator for each job state.

Each cell brings a job of the embedded Google Cloud into a state before the operator first looks, while its first look
is on the way, or when it has looked and waits; then on to the job's end. Right is what the table of states says: at the
end success or a failure that names its cause, before the end no verdict at all. Writes build/conformance.json.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.attempt import Verdict, attempt, log_to
from benchmarks.cloud import Cloud
from benchmarks.gate import Gate, Look

from gcp_emulator import process

ROOT = Path(__file__).resolve().parents[1]
PROJECT, REGION = "local-project", "europe-west1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
TOPIC = f"projects/{PROJECT}/topics/job-states"
STEP_S = 3.0  # how long the emulator keeps a job in each passing state
STAY_S = 5.0  # and a task running, where RUNNING is the state to show
LOOK_S = 0.1
GRACE_S = 20.0  # for a verdict after the job's end
LIMIT_S = 90.0
TRIES = 5
SLOW_TO_LOAD = (
    "airflow.providers.google.cloud.operators.cloud_batch",
    "gcp_jobs.backends.batch",
    "gcp_jobs.operators.batch",
    "gcp_jobs.triggers.job",
    "google.cloud.logging_v2",
    "google.pubsub_v1",
)

# What each state leads to when nothing else happens, and what the verdict at the end has to say.
LEADS_TO = {
    "QUEUED": "SUCCEEDED", "SCHEDULED": "SUCCEEDED", "RUNNING": "SUCCEEDED", "SUCCEEDED": "SUCCEEDED",
    "FAILED": "FAILED", "CANCELLATION_IN_PROGRESS": "CANCELLED", "CANCELLED": "CANCELLED",
    "DELETION_IN_PROGRESS": "GONE", "GONE": "GONE",
}  # fmt: skip
NAMES = {"FAILED": r"fail", "CANCELLED": r"cancel", "GONE": r"delet|not found|no longer exists|\bgone\b"}
SIDES = ("ours", "stock")
MOMENTS = ("before", "during", "after")


class NotMade(Exception):
    """The job left the state before the operator saw it there."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to show; `reached` says when the job came into the state."""

    side: str
    state: str
    deferrable: bool
    reached: str

    @property
    def end(self) -> str:
        """The job's last state."""
        return LEADS_TO[self.state]


@dataclass(frozen=True, slots=True)
class World:
    """The emulator, seen past the gate."""

    gate: Gate
    cloud: Cloud
    batch: Any

    async def state(self, name: str) -> str:
        """The job's state now, GONE where there is none."""
        from google.api_core.exceptions import NotFound

        try:
            return str((await self.batch.get_job(name=name)).status.state.name)
        except NotFound:
            return "GONE"

    async def until(self, name: str, *states: str) -> None:
        """Wait until the job is in one of the states."""
        async with asyncio.timeout(LIMIT_S):
            while await self.state(name) not in states:
                await asyncio.sleep(LOOK_S)

    async def bring(self, name: str, hold: str, state: str) -> None:
        """Move a job that waits for machines into a state, as far as that is done from outside."""
        if state.startswith("CANCEL"):
            await self.batch.cancel_job(name=name)
        elif state in ("DELETION_IN_PROGRESS", "GONE"):
            await self.batch.delete_job(name=name)
        elif state != "QUEUED":
            await asyncio.to_thread(self.cloud.remove, hold)
        await self.until(name, state)


def operator(cell: Cell, job_id: str, caller: str) -> Any:
    """The side's operator, told the same."""
    words = {"RUNNING": [f"seconds={STAY_S}"], "FAILED": ["exit=3"]}
    container = {"imageUri": "gcp-emulator/pretend", "commands": words.get(cell.state, [])}
    job = {
        "taskGroups": [{"taskSpec": {"runnables": [{"container": container}]}, "taskCount": 1}],
        "allocationPolicy": {"instances": [{"policy": {"machineType": job_id}}]},
    }
    asked: dict[str, Any] = {
        "task_id": job_id, "project_id": PROJECT, "region": REGION, "job_name": job_id, "job": job,
        "polling_period_seconds": 0.5, "timeout_seconds": STEP_S * 5 + GRACE_S, "deferrable": cell.deferrable,
    }  # fmt: skip
    if cell.side == "ours":
        from gcp_jobs.operators.batch import BatchJobOperator

        return BatchJobOperator(**asked, impersonation_chain=caller, verbose=False)
    from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator

    return CloudBatchSubmitJobOperator(**asked)


async def show(cell: Cell, world: World) -> dict[str, Any]:
    """Make the cell's job and its operator meet as the cell says, and judge the verdict."""
    job_id = f"c-{uuid.uuid4().hex[:12]}"
    name, caller = f"{PARENT}/jobs/{job_id}", f"{job_id}@{PROJECT}.iam.gserviceaccount.com"
    look, reached = Look(name, caller), asyncio.Event()
    subscribes = cell.side == "ours" and cell.deferrable
    held = {"before": look.ask, "during": look.subscribe if subscribes else look.answer}.get(cell.reached)
    if held:
        held.clear()
    world.gate.watch(look)
    hold = await asyncio.to_thread(world.cloud.fault, "exhaust", machine_type=job_id)
    ready = reached.wait if cell.reached == "before" else None
    running = asyncio.create_task(attempt(operator(cell, job_id, caller), ready))
    moment = {"before": look.created, "during": look.subscribing if subscribes else look.answered}
    await _first(moment.get(cell.reached, look.told).wait(), running)
    await world.bring(name, hold, cell.state)
    reached.set()
    look.open()
    if cell.state == "QUEUED":
        await asyncio.wait([running], timeout=STEP_S)
        await asyncio.to_thread(world.cloud.remove, hold)
    await asyncio.wait([running], timeout=LIMIT_S)
    verdict, now = await running, await world.state(name)
    if cell.reached == "before" and look.seen[:1] != [cell.state.replace("GONE", "NOT_FOUND")]:
        raise NotMade(f"{cell}: the first look saw {look.seen[:1]}")
    return judged(cell, verdict, now)


def judged(cell: Cell, verdict: Verdict, now: str) -> dict[str, Any]:
    """Hold a verdict against the table of states; `now` is the state that the job was in when it came."""
    said = " ".join(verdict.said.split()) or "success"
    if now != cell.end:
        right, said = False, f"while the job was {now}: {said}"
    elif cell.end == "SUCCEEDED":
        right = verdict.succeeded
    else:
        right = not verdict.succeeded and bool(re.search(NAMES[cell.end], said, re.IGNORECASE))
    return {
        "side": cell.side, "state": cell.state, "deferrable": cell.deferrable, "reached": cell.reached,
        "expected": cell.end, "right": right, "said": said,
    }  # fmt: skip


async def _first(moment: Any, running: "asyncio.Task[Verdict]") -> None:
    """Wait for the moment; an operator that ends before it has failed to start."""
    waiting = asyncio.ensure_future(moment)
    await asyncio.wait([waiting, running], timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        raise NotMade(str(running.result() if running.done() else "the operator never looked"))


async def made(cell: Cell, world: World) -> dict[str, Any]:
    """Show a cell; on a machine so slow that a state has passed before anybody looked, again."""
    for number in range(TRIES):
        try:
            return await show(cell, world)
        except NotMade as error:
            print(f"again ({number + 1} of {TRIES}): {error}", file=sys.stderr)
    raise NotMade(f"{cell} could not be made in {TRIES} tries; is the machine very busy?")


async def run(cells: Sequence[Cell], ready: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All cells, those of one moment side by side."""
    from google.cloud import batch_v1
    from google.pubsub_v1 import PublisherAsyncClient
    from grpc import aio

    rows: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2 * len(cells)))
    async with AsyncExitStack() as stack:
        gate = Gate(ready["grpc"])
        address = await gate.start()
        stack.push_async_callback(gate.stop)
        channel = await stack.enter_async_context(aio.insecure_channel(ready["grpc"]))
        publisher = PublisherAsyncClient(
            transport=PublisherAsyncClient.get_transport_class("grpc_asyncio")(channel=channel)
        )
        await publisher.create_topic(name=TOPIC)
        batch = batch_v1.BatchServiceAsyncClient(
            transport=batch_v1.BatchServiceAsyncClient.get_transport_class("grpc_asyncio")(channel=channel)
        )
        os.environ["BATCH_EMULATOR_HOST"] = os.environ["PUBSUB_EMULATOR_HOST"] = address
        redirect(address)
        for module in SLOW_TO_LOAD:  # no state shall pass while a library loads
            import_module(module)
        world = World(gate, Cloud(ready["rest"]), batch)
        for moment in MOMENTS:
            mine = [cell for cell in cells if cell.reached == moment]
            print(f"{len(mine)} cells: the state is reached {moment} subscribing", flush=True)
            rows += await asyncio.gather(*(made(cell, world) for cell in mine))
    return rows


def redirect(address: str) -> None:
    """Point the Batch clients that the stock operator builds at an address; nothing else of it is touched."""
    import grpc
    from google.cloud.batch_v1 import BatchServiceClient

    for kind, channel in (("grpc", grpc.insecure_channel), ("grpc_asyncio", grpc.aio.insecure_channel)):
        transport = BatchServiceClient.get_transport_class(kind)

        def build(transport: Any = transport, channel: Any = channel, **_: Any) -> Any:
            return transport(channel=channel(address))

        registry: dict[str, Any] = type(BatchServiceClient)._transport_registry
        registry[kind] = build


def summed(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Right of all, a side; GONE, which is no state of Batch's own, by itself."""

    def count(side: str, *, gone: bool) -> dict[str, int]:
        mine = [r["right"] for r in rows if r["side"] == side and (r["state"] == "GONE") is gone]
        return {"right": sum(mine), "of": len(mine)}

    rows = list(rows)
    return {
        **{side: count(side, gone=False) for side in SIDES},
        "gone": {side: count(side, gone=True) for side in SIDES},
        "cells": rows,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print states by modes: right or wrong at each moment, and what was said."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = Table(
        "state",
        "mode",
        *(f"{s}: {'/'.join(MOMENTS)}" for s in SIDES),
        "ours says",
        "stock says",
        show_lines=True,
    )
    for state, deferrable in product(LEADS_TO, (True, False)):
        cells = {
            s: [r for r in rows if (r["side"], r["state"], r["deferrable"]) == (s, state, deferrable)]
            for s in SIDES
        }
        marks = ("/".join("right" if r["right"] else "WRONG" for r in cells[s]) for s in SIDES)
        says = ((min(cells[s], key=lambda r: r["right"]))["said"] for s in SIDES)
        mode = "deferred" if deferrable else "sync"
        found.add_row(state, mode, *marks, *(escape(_short(said)) for said in says))
    Console(width=None if sys.stdout.isatty() else 200).print(found)


def _short(said: str) -> str:
    return re.sub(rf"{PARENT}/jobs/", "", said)[:150]


def main() -> None:
    """Exit code 1 when ours is wrong anywhere."""
    cells = [Cell(*one) for one in product(SIDES, LEADS_TO, (True, False), MOMENTS)]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        home = Path(folder)
        os.environ.update(
            AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False", NO_GCE_CHECK="true",
            AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT=json.dumps(
                {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": PROJECT}}
            ),
            GCP_JOBS_STATUS_TOPIC=TOPIC,
        )  # fmt: skip
        with process.start(batch_delay=STEP_S, project=PROJECT, log=home / "emulator.log") as ready:
            os.environ.update(ready["env"])
            with (home / "triggers.log").open("w") as log:
                log_to(log)
                rows = asyncio.run(run(cells, ready))
    table(rows)
    found = summed(rows)
    for side in SIDES:
        print(f"{side}: {found[side]['right']} of {found[side]['of']} right")
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "conformance.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if all(row["right"] for row in rows if row["side"] == "ours") else 1)


if __name__ == "__main__":
    main()
