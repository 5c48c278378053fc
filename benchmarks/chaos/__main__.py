"""`make chaos`: all is killed at the worst points. Has each task attempt one job, and each job the right verdict?

Two levels, one judge (benchmarks/chaos/judge.py says what is allowed):

- fast: our operators and triggers in forked processes, under a small Airflow that does to them what Airflow 3.3 was
  seen to do (small.py). Each worker and triggerer is struck at each boundary of each call that a night without faults
  made: killed, evicted, stalled, or left behind alive while the next try begins. Thousands of strikes.
- real: Airflow's own API server, scheduler with its workers, dag-processor and triggerers on PostgreSQL, each killed
  (the API server: stopped for seconds) at such boundaries. Of its points as many are drawn as there is time for.

On both, all night: 5 % of messages lost, 20 % doubled, all others out of order, untrue ones among them, lists that lag,
bursts of 503, 429, 504 and 500 before and after the work is done, users who mark and clear, and a reconciliation that
cancels what nobody waits for. A point that never fires is red, and so is any wrong.

The fast level's processes look for an earlier try's call for 3 s instead of 25, and believe a list after 1.2 s instead
of 5: the emulator's lists lag by 0.4 s, and no call that is held outlives its caller's patience. Jobs of Cloud Run last
3 s at least: the loser of two must live until it is found out. On a busy machine all these are up to four times as
long.

On a real Airflow, a trigger that fires before the scheduler has read the end of the process that deferred fails the
task (Airflow 3.3.2, its issues 71580 and 72716): all tasks have retries, so it shows as another try, which attaches.

Writes build/chaos.json.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from benchmarks.chaos.night import Night, Terms, fast, house  # noqa: E402
from benchmarks.chaos.siege import slow  # noqa: E402

from laptop import environment  # noqa: E402
from laptop.place import STATE  # noqa: E402
from laptop.progress import Progress  # noqa: E402

SUMS = (
    "attempts", "doubled_started", "doubled_completed", "orphans", "wrong_verdicts", "missed_cancels", "wrong_cancels",
    "crash_points", "points_not_fired",
)  # fmt: skip
MORE = ("excused", "upstream_races", "unfinished", "points_left_out", "strikes")
FAST_SHARE = 0.4


def summed(levels: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Put the levels' figures together: counts are added, ages and times are the worst."""
    total: dict[str, Any] = {name: sum(level[name] for level in levels.values()) for name in (*SUMS, *MORE)}
    total["oldest_orphan_s"] = max(level["oldest_orphan_s"] for level in levels.values())
    times = [level["time_to_recover_s"] for level in levels.values()]
    total["time_to_recover_s"] = max((each.get("longest", 0.0) for each in times), default=0.0)
    return {**total, "seed": seed, "levels": dict(levels)}


def had(levels: str, terms: Mapping[str, Terms], progress: Progress) -> dict[str, Night]:
    """Have the nights that are wanted."""
    nights = {}
    if levels in ("both", "fast"):
        folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=STATE))
        with house(folder) as here:
            nights["fast"] = fast(here, terms["fast"], progress)
        if not nights["fast"].red:
            shutil.rmtree(folder)
    if levels in ("both", "real"):
        nights["real"] = slow(terms["real"], progress)
    return nights


def shown(said: Mapping[str, Any], nights: Mapping[str, Night]) -> None:
    """Print the table, and each wrong with what it takes to have it again."""
    table = Table("", *nights, "all")
    for name in (*SUMS, *MORE, "oldest_orphan_s"):
        table.add_row(
            name.replace("_", " "), *(str(said["levels"][each][name]) for each in nights), str(said[name])
        )
    for quantile in ("p50", "p95", "longest"):
        cells = [str(said["levels"][each]["time_to_recover_s"].get(quantile, "-")) for each in nights]
        table.add_row(f"time to recover, {quantile} (s)", *cells, "")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for name, night in nights.items():
        for wrong in [*night.tally.wrongs, *(f"never fired: {point}" for point in night.missing)]:
            console.print(f"{name}, SEED={said['seed']}: {wrong}", markup=False, highlight=False)


def main() -> None:
    """Exit code 1 when anything was wrong."""
    options = argparse.ArgumentParser(description="Kills everything at the worst points.")
    options.add_argument("--strikes", type=int, default=3000, help="of the fast level, at most")
    options.add_argument("--minutes", type=float, default=45, help="for both levels together, about")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--level", choices=("both", "fast", "real"), default="both")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    environment.past_proxies()
    STATE.mkdir(exist_ok=True)
    seconds = asked.minutes * 60
    share = FAST_SHARE if asked.level == "both" else 1.0
    terms = {
        "fast": Terms(asked.seed, asked.strikes, seconds * share),
        "real": Terms(
            asked.seed, asked.strikes, seconds * (1 - FAST_SHARE if asked.level == "both" else 1.0)
        ),
    }
    progress = Progress()
    progress.say(f"seed {asked.seed}")
    nights = had(asked.level, terms, progress)
    said = summed({name: night.told() for name, night in nights.items()}, asked.seed)
    shown(said, nights)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "chaos.json").write_text(json.dumps(said, indent=2) + "\n")
    sys.exit(1 if any(night.red for night in nights.values()) else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
