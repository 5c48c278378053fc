"""`make bench-events`: from a published message or a finished upload to the job that it starts, beside the stock way.

A real Airflow (PostgreSQL, scheduler, triggerer, LocalExecutor) and the emulator, whose own record is the judge. In the
last two rows a triggerer and a scheduler are killed in between. Writes build/bench-events.json.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.airflow_stack import SCHEDULER, TRIGGERER  # noqa: E402
from benchmarks.events_world import World, world  # noqa: E402

from laptop.progress import Progress  # noqa: E402

SINGLES = 20
PATIENCE_S = 1_800.0
SETTLE_S = 10.0
QUIET_S = 240.0
Row = dict[str, Any]
Kill = Callable[[World], None]
Send = Callable[[World, Sequence[int]], dict[int, float]]
WARM = 1_000_000


def sensed(made: World, numbers: Sequence[int]) -> dict[int, float]:
    """Start the run of sensors that wait for the numbers' objects, and upload once they wait."""
    made.stack.run_dag("stock_objects", {"first": numbers[0], "count": len(numbers)})
    query = "SELECT count(*) FROM task_instance WHERE task_id = 'one.seen' AND state = 'deferred'"
    made.stack.wait(lambda: made.stack.rows(query)[0][0] >= len(numbers), "sensors begin to wait", 300)
    return made.upload(numbers)


SENDS: dict[tuple[str, str], Send] = {
    ("ours", "message"): World.publish, ("stock", "message"): World.publish,
    ("ours", "object"): World.upload, ("stock", "object"): sensed,
}  # fmt: skip


def at(share: float, values: Sequence[float]) -> float | None:
    """The value below which `share` of the values lie, in hundredths of a second."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def burst(
    made: World, send: Send, numbers: Sequence[int], patience_s: float, kill: Kill | None = None
) -> Row:
    """Send, wait until each has its job or nothing comes any more, count."""
    sent = send(made, numbers)
    if kill:
        kill(made)
    end, last, known = time.monotonic() + patience_s, time.monotonic(), 0
    while known < len(numbers) and time.monotonic() < min(end, last + QUIET_S):
        time.sleep(0.2 if len(numbers) < 1_000 else 10)
        now = len(made.seen(numbers).made)
        if now > known:
            known, last = now, time.monotonic()
    time.sleep(0.5 if len(numbers) == 1 else SETTLE_S)  # a doubled one comes later than the first
    seen = made.seen(numbers)
    late = [seen.made[n] - sent[n] for n in seen.made]
    return {
        "late": late, "lost": len(numbers) - len(seen.made), "doubled": sum(seen.jobs.values()) - len(seen.jobs)
    }  # fmt: skip


def singles(made: World, send: Send, numbers: Sequence[int]) -> Row:
    """One at a time, each when the one before has its job."""
    each = [burst(made, send, [number], 120) for number in numbers]
    return {
        "late": [late for one in each for late in one["late"]], "lost": sum(one["lost"] for one in each),
        "doubled": sum(one["doubled"] for one in each),
    }  # fmt: skip


def killed(made: World) -> None:
    """The triggerer while it takes the burst, then the scheduler with its tasks while they start jobs."""
    stack = made.stack
    time.sleep(1.5)
    stack.components[TRIGGERER].kill()
    stack.start(TRIGGERER, "triggerer-2")
    time.sleep(4)
    stack.components[SCHEDULER].kill()
    stack.start(SCHEDULER, "scheduler-2")


def row(side: str, source: str, size: int, found: Row) -> Row:
    """What the file and the table hold."""
    return {
        "side": side, "source": source, "burst": size,
        "p50_s": at(0.5, found["late"]), "p95_s": at(0.95, found["late"]),
        "lost": found["lost"], "doubled": found["doubled"],
    }  # fmt: skip


def bursts(
    side: str, source: str, sizes: Sequence[int], per_minute: int, rows: list[Row], progress: Progress
) -> None:
    """Bursts one after the other in one Airflow."""
    send, first = SENDS[side, source], 0
    with world("ours" if side == "ours" else f"{source}s", per_minute, progress) as made:
        warm = burst(made, send, [WARM], 120)
        progress.say(f"{side}: watching, the first job after {at(0.5, warm['late'])} s")
        for size in sizes:
            many = SINGLES if size == 1 else size
            numbers = range(first, first + many)
            found = singles(made, send, numbers) if size == 1 else burst(made, send, numbers, PATIENCE_S)
            first += many
            rows.append(row(side, source, size, found))
            progress.say(f"{rows[-1]}")


def with_kills(side: str, size: int, per_minute: int, rows: list[Row], progress: Progress) -> None:
    """A burst of messages during which Airflow loses its triggerer and its scheduler."""
    with world("ours" if side == "ours" else "messages", per_minute, progress) as made:
        burst(made, World.publish, [WARM], 120)
        found = burst(made, World.publish, range(size), 900, killed)
    rows.append(row(side, "message, triggerer and scheduler killed", size, found))
    progress.say(f"{rows[-1]}")


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table("side", "source", "burst", "p50 s", "p95 s", "lost", "doubled")
    for one in rows:
        table.add_row(*map(str, one.values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measures, prints and writes."""
    options = argparse.ArgumentParser(description="From an event to its job, through a real Airflow.")
    options.add_argument("--bursts", type=int, nargs="*", default=[1, 100, 10_000], help="messages, ours")
    options.add_argument("--stock", type=int, nargs="*", default=[1, 100], help="messages, the stock way")
    options.add_argument("--objects", type=int, nargs="*", default=[1, 100], help="uploads, ours")
    options.add_argument("--sensors", type=int, nargs="*", default=[1, 20], help="uploads, the stock way")
    options.add_argument("--killed", type=int, default=300, help="messages while Airflow is killed; 0: none")
    options.add_argument("--per-minute", type=int, default=6_000, help="the set rate")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    progress, rows = Progress(), list[Row]()
    sizes = {
        ("ours", "message"): asked.bursts, ("stock", "message"): asked.stock,
        ("ours", "object"): asked.objects, ("stock", "object"): asked.sensors,
    }  # fmt: skip
    for (side, source), wanted in sizes.items():
        if wanted:
            bursts(side, source, wanted, asked.per_minute, rows, progress)
    if asked.killed:
        for side in ("ours", *(["stock"] if asked.stock else [])):
            with_kills(side, asked.killed, asked.per_minute, rows, progress)
    show(rows)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-events.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
