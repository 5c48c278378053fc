"""What `make run` tells at its end: what landed where, who called what, how long it took, where to look next."""

import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from laptop import cloud
from laptop.place import ROOT, Place
from laptop.ran import ran

LABEL = 14
_LINE = re.compile(r"^\S+ \[\w+ *\] (?P<text>.*?)\s+\[[\w.]*gcp_jobs[\w.]*\]")


def telling(line: str) -> str | None:
    """The text of an Airflow log line that a person wants to see while the DAG runs, else None."""
    found = _LINE.match(line)
    return found["text"] if found else None


def record(place: Place, run: str) -> str:
    """The command that shows what the ledger holds of a run; for a shell in this folder."""
    command = [sys.executable, "-m", "gcp_jobs.ledger", "show", run]
    paths = {"AIRFLOW_HOME": place.airflow_home, "PYTHONPATH": ROOT / "plugins"}
    named = [f"{name}={shlex.quote(_near(path))}" for name, path in paths.items()]
    return " ".join([*named, shlex.join([_near(Path(command[0])), *command[1:]])])


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def show(
    place: Place, exports: Mapping[str, str], since: datetime, seconds: float, left: Iterable[tuple[str, str]]
) -> None:
    """Prints what ran after `since` and what it `left` (label, text); the emulator is asked."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    told = Table(show_header=False, box=None, pad_edge=False)
    told.add_column(no_wrap=True, min_width=LABEL)
    told.add_column(overflow="fold")
    runs = ran(exports["CLOUD_RUN_EMULATOR_HOST"], since)
    for each in runs:
        told.add_row(f"{each.product} job", each.job)
        told.add_row("execution" if each.product == "Cloud Run" else "state", each.outcome)
        told.add_row("container time", f"{each.seconds:.1f} s")
    for label, text in left:
        told.add_row(label, text)
    told.add_row("all in all", f"{seconds:.1f} s")
    told.add_row(
        "look next", f"logs: {place.logs}  |  Airflow's home: {place.airflow_home}  |  the UI: make up"
    )
    console.rule("what happened")
    console.print(told)
    for each in runs:  # no line of the table: a command that is broken in two cannot be pasted
        console.print(f"{'record':<{LABEL}}  {record(place, each.id)}", soft_wrap=True, highlight=False)
    calls = Table(
        "method", "caller", "calls", title="calls that the emulator counted", title_justify="left", box=None
    )
    by_caller: Counter[tuple[str, str]] = Counter()
    for counted in cloud.calls(exports["GCP_EMULATOR_URL"]):
        by_caller[counted.method, counted.caller] += counted.count
    for (method, caller), count in sorted(by_caller.items()):
        calls.add_row(method, caller, str(count))
    console.print(calls)
