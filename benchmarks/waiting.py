"""`make bench-waiting`: our trigger beside the Google provider's, N Batch jobs waited for, in the embedded cloud.

Both sides run in Airflow's own TriggerRunner. Jobs wait for machines; then group by group they fail, so that their ends
cost the emulator no process. Detection is from the time that the job's own event bears to the trigger's event.
Writes build/bench-waiting.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.waiting_side import Emulator  # noqa: E402

HERE = Path(__file__).resolve().parent
PARENT = "projects/local-project/locations/europe-west1"
TOPIC = "projects/local-project/topics/job-states"
GROUPS = 20
CELL_TIMEOUT_S = 900
GETTING_READY_S = 60


@contextmanager
def emulator(folder: Path) -> Iterator[dict[str, Any]]:
    """An embedded Google Cloud of this run's own; gives what its ready file says."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "gcp_emulator", "--grpc-port", "0", "--rest-port", "0"]
    with (folder / "emulator.log").open("wb") as log, subprocess.Popen(
        [*command, "--ready-file", str(ready)], env=_environment(), stdout=log, stderr=log
    ) as process:  # fmt: skip
        try:
            until = time.monotonic() + GETTING_READY_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((folder / "emulator.log").read_text())
                time.sleep(0.05)
            yield json.loads(ready.read_text())
        finally:
            process.terminate()


@contextmanager
def front(address: str, folder: Path) -> Iterator[str]:
    """TLS before the emulator; gives its `localhost:port`."""
    command = [sys.executable, str(HERE / "tls_front.py"), address, str(folder)]
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"localhost:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def make_jobs(address: str, url: str, count: int) -> list[list[str]]:
    """Creates jobs that wait for machines, in GROUPS groups that can be failed one by one; gives names and uids."""
    for group in range(GROUPS):
        Emulator(url).keep_waiting(f"bench-{group}")
    api = batch_v1.BatchServiceClient(
        transport=BatchServiceGrpcTransport(channel=grpc.insecure_channel(address))
    )

    def make(number: int) -> list[str]:
        script = batch_v1.Runnable(script=batch_v1.Runnable.Script(text="true"))
        group = batch_v1.TaskGroup(task_spec=batch_v1.TaskSpec(runnables=[script]), task_count=1)
        told = batch_v1.JobNotification.Message(type_="JOB_STATE_CHANGED")
        policy = batch_v1.AllocationPolicy.InstancePolicy(machine_type=f"bench-{number % GROUPS}")
        job = batch_v1.Job(
            task_groups=[group],
            notifications=[batch_v1.JobNotification(pubsub_topic=TOPIC, message=told)],
            allocation_policy=batch_v1.AllocationPolicy(
                instances=[batch_v1.AllocationPolicy.InstancePolicyOrTemplate(policy=policy)]
            ),
        )
        made = api.create_job(parent=PARENT, job_id=f"bench-{uuid.uuid4().hex[:16]}", job=job)
        return [made.name, made.uid]

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(make, range(count)))


def ends(address: str, names: set[str]) -> dict[str, float]:
    """When each job failed, by the event that says so (epoch seconds)."""
    api = batch_v1.BatchServiceClient(
        transport=BatchServiceGrpcTransport(channel=grpc.insecure_channel(address))
    )
    found = {}
    for job in api.list_jobs(request={"parent": PARENT, "page_size": 1000}):
        told: list[Any] = [one for one in job.status.status_events if " to FAILED" in one.description]
        if job.name in names and told:
            found[job.name] = max(event.event_time.timestamp() for event in told)
    return found


def cell(side: str, count: int, steady_s: float, spread_s: float) -> dict[str, Any]:
    """One row of the table: a fresh emulator, fresh jobs, one side."""
    with tempfile.TemporaryDirectory(prefix="bench-waiting-") as name:
        folder = Path(name)
        with emulator(folder) as ready, front(ready["grpc"], folder) as secure:
            publisher = PublisherClient(
                transport=PublisherGrpcTransport(channel=grpc.insecure_channel(ready["grpc"]))
            )
            publisher.create_topic(name=TOPIC)
            jobs = make_jobs(ready["grpc"], ready["rest"], count)
            plan = {"side": side, "jobs": jobs, "spread_s": spread_s, "steady_s": steady_s,
                    "url": ready["rest"], "front": secure}  # fmt: skip
            (folder / "plan.json").write_text(json.dumps(plan))
            environment = {
                **_environment(), **ready["env"],
                "AIRFLOW_HOME": str(folder / "airflow"),
                "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://?project=local-project",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "NO_GCE_CHECK": "true",
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "certificate.pem"),
                "GCP_JOBS_STATUS_TOPIC": TOPIC,
            }  # fmt: skip
            command = [sys.executable, str(HERE / "waiting_side.py"), "plan.json", "result.json"]
            with (folder / "side.log").open("wb") as log:
                code = subprocess.run(
                    command, cwd=folder, env=environment, stdout=log, stderr=log, timeout=CELL_TIMEOUT_S
                ).returncode
            if code:
                raise RuntimeError((folder / "side.log").read_text()[-4_000:])
            found = json.loads((folder / "result.json").read_text())
            return row(side, count, found, ends(ready["grpc"], {name for name, _ in jobs}))


def row(side: str, count: int, found: dict[str, Any], ended: dict[str, float]) -> dict[str, Any]:
    """Sums up one side's events."""
    fired = found.pop("fired")
    good = {name: at for name, (at, said) in fired.items() if _right(side, said)}
    late = sorted(1000 * (at - ended[name]) for name, at in good.items() if name in ended)

    def at(share: float) -> float | None:
        return round(late[min(len(late) - 1, int(share * len(late)))], 1) if late else None

    return {
        "side": side, "waiting": count, "p50_ms": at(0.5), "p95_ms": at(0.95), "max_ms": at(1.0),
        **{name: value if isinstance(value, dict | int) else round(value, 3) for name, value in found.items()},
        "failures": count - len(late),
    }  # fmt: skip


def _right(side: str, said: dict[str, Any]) -> bool:
    if side == "ours":
        return bool(said.get("outcome") == "ended")
    return "has failed its execution" in str(said.get("message"))


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("plugins", "include", "benchmarks"))
    return {**os.environ, "PYTHONPATH": path}


def main() -> None:
    """Runs every cell and writes the figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--stock", type=int, nargs="*", default=[100, 1000], help="waiting jobs, stock side")
    options.add_argument("--ours", type=int, nargs="*", default=[100, 1000], help="waiting jobs, our side")
    options.add_argument("--steady", type=float, default=30, help="seconds in which nothing ends")
    options.add_argument("--spread", type=float, default=30, help="seconds over which jobs end")
    asked = options.parse_args()
    console, rows = Console(), []
    for side, counts in (("stock", asked.stock), ("ours", asked.ours)):
        for count in counts:
            console.print(f"{side}: {count} waiting jobs ...")
            rows.append(cell(side, count, asked.steady, asked.spread))
    table = Table(*(name for name in rows[0] if name != "woken_by"), "woken by event/first read/sweep")
    for one in rows:
        woken = "/".join(str(n) for n in one["woken_by"].values()) if one["side"] == "ours" else "-"
        table.add_row(*(str(value) for name, value in one.items() if name != "woken_by"), woken)
    console.print(table)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-waiting.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
