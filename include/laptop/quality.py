"""`make quality-check`: a real answer of the API through ingestion and tables, and what came of every record."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from laptop import buckets, environment, services
from laptop.child import ChildFailed
from laptop.place import INGESTION, ROOT, TABLES, Place
from laptop.progress import Progress
from laptop.run import alone, dag

KEYS = ("raw", "parsed", "quarantined", "dim_breeds", "temperaments", "checks_passed", "checks")
OUTPUT = ROOT / "build" / "quality.json"


def main(state: Path) -> None:
    """Records of $BREEDS_JSON, else of the sample. Exit code 0 only when every check passed."""
    progress, place, failed = Progress(), Place.of("quality-check", state), ""
    given = os.environ.get("BREEDS_JSON")
    with alone(place), ExitStack() as stack:
        try:
            exports, api = services.start(stack, place, progress, Path(given) if given else None)
            env = environment.airflow(place, exports, api) | {environment.DESTINATION: "bigquery"}
            dag(place, env, INGESTION, progress)
            try:
                dag(place, env, TABLES, progress)
            except ChildFailed as error:
                failed = f"quality-check: {error}"
            written = buckets.newest(exports["GCP_EMULATOR_URL"], environment.REPORTS, f"{TABLES}/", ".json")
            if written is None:
                sys.exit(failed or "quality-check: the tables' job left no figures")
            _show(json.loads(buckets.read(written)))
        except ChildFailed as error:
            sys.exit(f"quality-check: {error}")
        except KeyboardInterrupt:
            sys.exit("quality-check: stopped; what it started is ended")
    sys.exit(failed or 0)  # an empty text would be a failure too


def _show(result: dict[str, int | None]) -> None:
    figures = {key: result.get(key) or 0 for key in KEYS}
    table = Table("what", "number", title="Quality of the breeds", title_justify="left", box=None)
    for key, number in figures.items():
        table.add_row(key.replace("_", " "), str(number))
    Console().print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures in {OUTPUT}")
