"""`make bench-end-to-end`: a real Airflow, its triggerer and scheduler, and Batch jobs in the embedded cloud.

1. From a job's end, as the job's own event tells it, to the start of the task after it: ours and the Google provider's.
2. From a line that a running job writes to that line in Airflow's task log (ours: the other brings none).
3. What thousands of deferred tasks cost a triggerer: memory and file handles of its two processes.

Writes build/bench-end-to-end.json.
"""

import argparse
import json
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.airflow_stack import AirflowStack, own_place  # noqa: E402
from benchmarks.deferred_tasks import measured  # noqa: E402
from benchmarks.embedded_cloud import EmbeddedCloud, embedded  # noqa: E402

from laptop.environment import PROJECT  # noqa: E402
from laptop.progress import Progress  # noqa: E402

HERE = Path(__file__).resolve().parent
OURS, STOCK = "ours", "stock"
JOB_S = 10.0  # how long a job runs once it may: its line has this long to arrive while it runs
SPACING_S = 3.0  # between two ends, so that no task waits for another one's worker
IN_FLIGHT = 8  # jobs between their start and the next task's at most: a slow machine gets them more slowly
PATIENCE_S = 300.0


@dataclass
class Lines:
    """When the line that each job writes came into its task's log, as somebody who looks at it would see it."""

    logs: Path
    seen: dict[int, float] = field(default_factory=dict)

    def look(self, jobs: int) -> bool:
        """Look into the logs of the first `jobs` tasks; whether all lines are there."""
        for number in set(range(jobs)) - set(self.seen):
            files = self.logs.glob(f"dag_id=bench_{OURS}/*/task_id=job_{number}/*.log*")
            if any(f'"line of {OURS} {number}"' in each.read_text(errors="replace") for each in files):
                self.seen[number] = time.time()
        return len(self.seen) == jobs


def ends(cloud: EmbeddedCloud, side: str) -> dict[int, float]:
    """When each job of a side succeeded, by the event that says so (epoch seconds)."""
    found = {}
    for job in cloud.jobs():
        name, _, number = job.allocation_policy.instances[0].policy.machine_type.rpartition("-")
        told: list[Any] = [
            one.event_time for one in job.status.status_events if " to SUCCEEDED" in one.description
        ]
        if name == side and told:
            found[int(number)] = max(each.timestamp() for each in told)
    return found


def written(cloud: EmbeddedCloud) -> dict[int, float]:
    """When each job wrote its line, as Cloud Logging has it (epoch seconds)."""
    with grpc.insecure_channel(cloud.grpc) as channel:
        api = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))
        names, query = [f"projects/{PROJECT}"], f'logName="projects/{PROJECT}/logs/batch_task_logs"'
        entries: Any = api.list_log_entries(
            request={"resource_names": names, "filter": query, "page_size": 1000}
        )
        start = f"line of {OURS} "
        return {
            int(entry.text_payload.removeprefix(start)): entry.timestamp.timestamp()
            for entry in entries
            if entry.text_payload.startswith(start)
        }


def side(
    stack: AirflowStack, cloud: EmbeddedCloud, name: str, jobs: int, look: Callable[[int], bool]
) -> list[float]:
    """One side's seconds from each job's end to the start of the task after it; `look` is asked again and again."""
    held = [cloud.hold(f"{name}-{number}") for number in range(jobs)]
    dag, logs = f"bench_{name}", stack.place.airflow_home / "logs"
    stack.run_dag(dag)

    def waited_for() -> bool:
        return len(list(logs.glob(f"dag_id={dag}/*/*/*.log.trigger.*"))) == jobs

    stack.wait(waited_for, f"{name}: getting {jobs} jobs waited for", PATIENCE_S)
    query = "SELECT task_id, start_date FROM task_instance WHERE dag_id = %s AND task_id LIKE 'after_%%'"

    def started() -> dict[int, float]:
        rows = stack.rows(f"{query} AND start_date IS NOT NULL", dag)
        return {int(task.removeprefix("after_")): at.timestamp() for task, at in rows}

    for number, fault in enumerate(held):
        cloud.release(fault)
        due = time.monotonic() + SPACING_S

        def next_one(released: int = number + 1, due: float = due) -> bool:
            look(released)
            return time.monotonic() >= due and released - len(started()) < IN_FLIGHT

        stack.wait(next_one, f"{name}: jobs run", PATIENCE_S)
    stack.wait(lambda: look(jobs) and len(started()) == jobs, f"{name}: the tasks after the jobs", PATIENCE_S)
    ended, began = ends(cloud, name), started()
    return sorted(began[number] - ended[number] for number in range(jobs))


def at(share: float, values: Sequence[float]) -> float:
    """The value below which `share` of the sorted values lie, in hundredths of a second."""
    return round(values[min(len(values) - 1, int(share * len(values)))], 2)


def latencies(jobs: int, progress: Progress) -> dict[str, Any]:
    """Both sides one after the other in the same Airflow."""
    settings = {
        "BENCH_JOBS": str(jobs),
        "BENCH_SECONDS": str(JOB_S),
        "PYTHONPATH": str(HERE / "end_to_end_site"),
    }
    with own_place("end-to-end") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        stack = AirflowStack(place, cloud.exports, HERE / "end_to_end_dags", settings, progress)
        ending.enter_context(stack).start_all()
        lines = Lines(place.airflow_home / "logs")
        ours = side(stack, cloud, OURS, jobs, lines.look)
        stock = side(stack, cloud, STOCK, jobs, lambda jobs: True)
        wrote = written(cloud)
        late = sorted(lines.seen[number] - wrote[number] for number in range(jobs))
    return {
        "jobs": jobs,
        **{f"{name}_{what}_s": at(share, values) for name, values in ((OURS, ours), (STOCK, stock))
           for what, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))},
        "first_line_s": round(statistics.median(late), 2), "first_line_max_s": at(1.0, late),
    }  # fmt: skip


def main() -> None:
    """Measures, prints and writes."""
    options = argparse.ArgumentParser(
        description="From a job's end to the next task, through a real Airflow."
    )
    options.add_argument("--jobs", type=int, default=30, help="jobs a side")
    options.add_argument(
        "--deferred", type=int, default=5000, help="deferred tasks in the triggerer; 0: none"
    )
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    progress = Progress()
    found = latencies(asked.jobs, progress)
    if asked.deferred:
        found |= measured(asked.deferred, progress)
    table = Table("figure", "value")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-end-to-end.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
