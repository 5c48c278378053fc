"""`python -m gcp_jobs.ledger list | show RUN | upgrade`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gcp_jobs.errors import GcpJobsError
from gcp_jobs.ledger import queries
from gcp_jobs.ledger.connection import ledger
from gcp_jobs.ledger.ledger import Ledger
from gcp_jobs.ledger.record import state_of
from gcp_jobs.ledger.schema import HEAD
from gcp_jobs.ledger.upgrade import upgrade

PATIENCE_S = 30.0  # whoever asks by hand has no job that waits for the answer
COLUMNS = ("entry", "state", "class", "dag / run / task", "try", "run", "created", "seconds")
Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 and what is wrong when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m gcp_jobs.ledger", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the newest runs")
    listing.add_argument("-n", "--limit", type=int, default=20)
    for name in ("dag_id", "task_id", "state", "failure_class"):
        listing.add_argument(f"--{name.replace('_', '-')}")
    commands.add_parser("show", help="all about one run").add_argument(
        "run", help="its entry, or its name at Google"
    )
    commands.add_parser("upgrade", help="bring the tables up to this release")
    asked = parser.parse_args(argv)
    # as `airflow connections get` does it: connections may lie in Airflow's database
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        here = ledger()
        if here is None:
            print(
                "There is no ledger: see GCP_JOBS_LEDGER_CONN_ID in `python -m gcp_jobs.settings`.",
                file=sys.stderr,
            )
            return 1
        here = here.patient(PATIENCE_S)
        if asked.command == "upgrade":
            return _upgrade(here)
        code = _list(here, asked) if asked.command == "list" else _show(here, asked.run)
        sys.stdout.flush()
        return code
    except GcpJobsError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _upgrade(here: Ledger) -> int:
    before = upgrade(here.engine)
    change = "nothing to do" if before == HEAD else f"{before or 'new'} -> {HEAD}"
    print(f"{here}: {change}")
    return 0


def _list(here: Ledger, asked: argparse.Namespace) -> int:
    wanted = {n: getattr(asked, n) for n in ("dag_id", "task_id", "state", "failure_class")}
    rows = here.read(queries.newest(asked.limit, **{n: v for n, v in wanted.items() if v}))
    if not rows:
        print(f"{here} holds no such run")
        return 0
    lines = [COLUMNS, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _line(row: Row) -> tuple[str, ...]:
    index = f"[{row['map_index']}]" if row["map_index"] >= 0 else ""
    return (
        row["entry"][:10],
        state_of(row),
        row["failure_class"] or "",
        f"{row['dag_id']} / {row['run_id']} / {row['task_id']}{index}",
        str(row["try_number"]),
        row["run"] or row["job"],
        _text(row["created_at"]),
        _seconds(row["started_at"], row["ended_at"]),
    )


def _show(here: Ledger, name: str) -> int:
    rows = here.read(queries.found(name))
    if not rows:
        print(f"{here} holds no run {name}", file=sys.stderr)
        return 1
    for row in rows:
        for column, value in row.items():
            if value is not None:
                print(f"{column:16} {_text(value)}")
        _table("tries", here.read(queries.tries(row["entry"])), ("entry",))
        _table("states", here.read(queries.trail(row["run_uid"] or "")), ("run_uid",))
        print()
    return 0


def _table(title: str, rows: Sequence[Row], without: tuple[str, ...]) -> None:
    for row in rows:
        said = (f"{name} {_text(v)}" for name, v in row.items() if v is not None and name not in without)
        print(f"{title:16} {', '.join(said)}")


def _seconds(start: datetime | None, end: datetime | None) -> str:
    return f"{(end - start).total_seconds():.1f}" if start and end else ""


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    sys.exit(main())
