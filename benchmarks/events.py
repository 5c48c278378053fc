"""`make bench-events`: from a published message or a finished upload to the job that it starts, beside the stock way.

A real Airflow (PostgreSQL, scheduler, triggerer, LocalExecutor) and the emulator, whose own record is the judge. In the
bursts of the last row of ours a triggerer and a scheduler are killed. Writes build/bench-events.json.
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
Row = dict[str, Any]
Kill = Callable[[World], None]


def at(share: float, values: Sequence[float]) -> float | None:
    """The value below which `share` of the values lie, in hundredths of a second."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def burst(
    made: World, numbers: Sequence[int], progress: Progress, patience_s: float, kill: Kill | None
) -> Row:
    """Publish, wait until each has its job or nothing comes any more, count."""
    published = made.publish(numbers)
    if kill:
        kill(made)
    end, last, known = time.monotonic() + patience_s, time.monotonic(), 0
    while known < len(numbers) and time.monotonic() < end and time.monotonic() < last + min(patience_s, 240):
        time.sleep(0.2 if len(numbers) < 1_000 else 3)
        now = len(made.seen(numbers).made)
        if now > known:
            known, last = now, time.monotonic()
    time.sleep(0.5 if len(numbers) == 1 else SETTLE_S)  # a doubled one comes later than the first
    seen = made.seen(numbers)
    late = [seen.made[n] - published[n] for n in seen.made]
    return {
        "late": late, "lost": len(numbers) - len(seen.made), "doubled": sum(seen.jobs.values()) - len(seen.jobs)
    }  # fmt: skip


def singles(made: World, first: int, count: int, progress: Progress) -> Row:
    """One message at a time, each when the one before has its job."""
    found: list[float] = []
    lost = doubled = 0
    for number in range(first, first + count):
        one = burst(made, [number], progress, 120, None)
        found += one["late"]
        lost, doubled = lost + one["lost"], doubled + one["doubled"]
    return {"late": found, "lost": lost, "doubled": doubled}


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


def messages(side: str, sizes: Sequence[int], per_minute: int, progress: Progress) -> list[Row]:
    """Bursts of messages, one after the other in one Airflow."""
    name = "ours" if side == "ours" else "messages"
    rows, first = [], 0
    with world(name, per_minute, progress) as made:
        warm = burst(made, range(1_000_000, 1_000_001), progress, 120, None)
        progress.say(f"{side}: watching, the first job after {at(0.5, warm['late'])} s")
        for size in sizes:
            found = singles(made, first, SINGLES, progress) if size == 1 else burst(
                made, range(first, first + size), progress, PATIENCE_S, None
            )  # fmt: skip
            first += SINGLES if size == 1 else size
            rows.append(row(side, "message", size, found))
            progress.say(f"{side}: {rows[-1]}")
    return rows


def with_kills(side: str, size: int, per_minute: int, progress: Progress) -> Row:
    """A burst of messages during which Airflow loses its triggerer and its scheduler."""
    with world("ours" if side == "ours" else "messages", per_minute, progress) as made:
        burst(made, range(1_000_000, 1_000_001), progress, 120, None)
        found = burst(made, range(size), progress, 900, killed)
    return row(side, "message, triggerer and scheduler killed", size, found)


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table("side", "source", "burst", "p50 s", "p95 s", "lost", "doubled")
    for one in rows:
        table.add_row(*map(str, one.values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measures, prints and writes."""
    options = argparse.ArgumentParser(description="From an event to its job, through a real Airflow.")
    options.add_argument("--bursts", type=int, nargs="*", default=[1, 100, 10_000], help="ours")
    options.add_argument("--stock", type=int, nargs="*", default=[1, 100], help="the stock way")
    options.add_argument("--killed", type=int, default=300, help="size of the burst with kills; 0: none")
    options.add_argument("--per-minute", type=int, default=6_000, help="the set rate")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    progress, rows = Progress(), list[Row]()
    if asked.bursts:
        rows += messages("ours", asked.bursts, asked.per_minute, progress)
    if asked.stock:
        rows += messages("stock", asked.stock, asked.per_minute, progress)
    if asked.killed:
        rows += [with_kills(side, asked.killed, asked.per_minute, progress) for side in ("ours", "stock")]
    show(rows)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-events.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
