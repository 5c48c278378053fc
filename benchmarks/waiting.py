"""`make bench-waiting`: our trigger beside the Google provider's, N Batch jobs waited for, in the embedded cloud.

Both sides run in Airflow's own TriggerRunner. Jobs wait for machines; then a few at a time they fail: their ends
cost the emulator no process. Detection is from the time that the job's own event bears to the trigger's event. Writes
build/bench-waiting.json, anew after each row.
"""

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "include")]

from benchmarks.waiting_cell import QUOTA, Timing, measure, scratch  # noqa: E402
from benchmarks.waiting_jobs import finished  # noqa: E402
from benchmarks.waiting_row import Cell, row  # noqa: E402
from tests.gcp_emulator.pubsub.emulators import google_emulator, google_jar  # noqa: E402

SIZES = {
    "stock": ([100, 1_000, 5_000], "the stock provider's trigger"),
    "ours": ([100, 1_000, 5_000, 20_000, 50_000], "our trigger"),
    "lean": ([20_000], "ours, without Airflow's greenlet a trigger"),
    "google": ([100, 1_000, 5_000, 20_000], "ours, on Google's own Pub/Sub emulator"),
}
STOCK_READS_A_MINUTE = 6
OUTPUT = ROOT / "build" / "bench-waiting.json"


def cells(sizes: Mapping[str, list[int]]) -> Iterator[Cell]:
    """What is measured; where the stock side has more reads than the quota, it is measured without, too."""
    for count in sizes["stock"]:
        if count * STOCK_READS_A_MINUTE > QUOTA:
            yield Cell("stock", count, quota=False)
        yield Cell("stock", count)
    for count in sizes["ours"]:
        yield Cell("ours", count)
    for count in sizes["lean"]:
        yield Cell("ours", count, portal=False)
    for count in sizes["google"]:
        yield Cell("ours", count, pubsub="google")


def table(rows: list[dict[str, Any]]) -> Table:
    """The figures for a reader."""
    names = [name for name in rows[0] if name != "woken_by"]
    made = Table(*(name.replace("_", " ") for name in names), "woken by event/first read/sweep")
    for one in rows:
        woken = "/".join(str(n) for n in one["woken_by"].values()) if one["side"] == "ours" else "-"
        made.add_row(*(str(one[name]) for name in names), woken)
    return made


def run(sizes: dict[str, list[int]], before: int, timing: Timing, console: Console) -> None:
    """Measure every cell and write the figures as they come; `before` jobs of the region have ended already."""
    rows: list[dict[str, Any]] = []
    with scratch() as name:
        folder = Path(name)
        jar = google_jar(folder / "gcloud")
        if sizes["google"] and isinstance(jar, str):
            console.print(f"Without Google's Pub/Sub: {jar}")
            sizes = {**sizes, "google": []}
        console.print(f"{before:,} jobs that ended before ...")
        finished(folder / "finished", before)
        for cell in cells(sizes):
            told = _teller(cell, console)
            state = folder / "state"
            shutil.copytree(folder / "finished", state)
            with ExitStack() as stack:
                pubsub = ""
                if cell.pubsub == "google":
                    assert isinstance(jar, Path)
                    pubsub = stack.enter_context(google_emulator(jar, folder / "google.log"))
                seen = measure(cell, timing, state, pubsub, told)
            shutil.rmtree(state)
            rows.append(row(cell, seen, finished_in_list=before, sweep_s=timing.sweep_s))
            OUTPUT.parent.mkdir(exist_ok=True)
            OUTPUT.write_text(json.dumps(rows, indent=2) + "\n")
            told(", ".join(f"{name} {rows[-1][name]}" for name in ("p50_ms", "p95_ms", "max_ms", "failures")))
    console.print(table(rows))


def _teller(cell: Cell, console: Console) -> Callable[[str], None]:
    started = time.monotonic()
    return lambda what: console.print(f"[dim]{time.monotonic() - started:5.0f} s[/] {_title(cell)}: {what}")


def _title(cell: Cell) -> str:
    without = ("" if cell.quota else ", no quota") + ("" if cell.portal else ", no greenlets")
    return f"{cell.side} {cell.waiting:,} ({cell.pubsub}{without})"


def main() -> None:
    """Read the options and run."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, (_, what) in SIZES.items():
        options.add_argument(f"--{name}", type=int, nargs="*", help=f"how many jobs wait: {what}")
    options.add_argument("--finished", type=int, default=200_000, help="finished jobs in the region's list")
    options.add_argument("--steady", type=float, default=45, help="seconds in which nothing ends")
    options.add_argument("--spread", type=float, default=45, help="seconds over which jobs end")
    options.add_argument(
        "--sweep", type=float, default=45, help="seconds between our sweeps (by default 600)"
    )
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    given = {name: getattr(asked, name) for name in SIZES if getattr(asked, name) is not None}
    sizes = {name: given.get(name, []) if given else default for name, (default, _) in SIZES.items()}
    run(sizes, asked.finished, Timing(asked.steady, asked.spread, asked.sweep), Console(width=200))


if __name__ == "__main__":
    main()
