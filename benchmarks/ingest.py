"""Our ingestion and the plain one side by side: records a second, peak memory, and the same rows in the end.

`python benchmarks/ingest.py` takes the records of $BREEDS_JSON (else of the shipped sample), repeats them to each
number of --records, and loads them over HTTP into DuckDB: by the plain pipeline (benchmarks/plain_ingest.py), by the
ingestion container's, and by the latter from one array without pages; then once more by the container's into the
embedded BigQuery. Each load is a process of its own in the container's own environment; API and BigQuery are others
and do not count, but for the time that they take.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import orjson
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "include")]

from benchmarks import adc, measure  # noqa: E402
from breeds_api.process import served  # noqa: E402
from breeds_api.records import SAMPLE  # noqa: E402
from gcp_emulator import process  # noqa: E402

IMAGE = ROOT / "include" / "images" / "dlt_ingestion"
LIMIT_MIB = 512  # the container's memory
PAGE_SIZE = 5_000
PLAIN, OURS, ARRAY, BIGQUERY = "plain", "ours", "ours, one array", "ours, BigQuery"
PROJECT = "local-project"
TELL_EVERY_S = 4.0

console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Result:
    """One load: `rows` and `digest` describe the table that came out."""

    side: str
    records: int
    seconds: float
    cpu_s: float
    peak_mib: float
    disk_mib: float
    rows: int
    digest: str
    stage_seconds: dict[str, float]

    @property
    def per_second(self) -> float:
        """Records a second, interpreter start and imports included."""
        return self.records / self.seconds


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints and writes. Returns 1 when tables differ or our memory is over the limit, else 0."""
    parser = argparse.ArgumentParser(description="The ingestion against a plain dlt pipeline.")
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 1_000_000], metavar="N")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench-ingest.json")
    options = parser.parse_args(arguments)
    source = Path(os.environ.get("BREEDS_JSON") or SAMPLE).resolve()
    console.print(f"records of {source.name}, repeated; all sides over HTTP, {os.cpu_count()} cores")
    python = _environment()
    results = [
        _load(side, records, source, python)
        for records in options.records
        for side in (PLAIN, OURS, ARRAY, BIGQUERY)
    ]
    _show(results)
    problems = _problems(results)
    _write(results, options.output, source)
    for problem in problems:
        console.print(f"[red]{problem}[/red]")
    return 1 if problems else 0


def _environment() -> str:
    """The Python of an environment with exactly the container's requirements, made at the first call."""
    wanted = (IMAGE / "requirements.txt").read_bytes()
    key = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".state" / "bench" / key
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        console.print("making the container's environment ...")
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True
        )
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*install, "-r", str(IMAGE / "requirements.txt")], check=True)
        (folder / "ready").touch()
    return str(python)


def _load(side: str, records: int, source: Path, python: str) -> Result:
    def tell(seconds: float, mib: float) -> None:
        console.print(f"  {side}, {records:,} records: {seconds:.0f} s, {mib:,.0f} MiB")

    console.print(f"{side}, {records:,} records ...")
    with (
        tempfile.TemporaryDirectory(prefix="bench-ingest-", dir=_scratch()) as name,
        served("--records", str(source), "--repeat", str(records)) as url,
    ):
        folder = Path(name)
        database = folder / "destination" / "breeds.duckdb"
        database.parent.mkdir()
        watched = folder / "task"
        watched.mkdir()
        command, environment = _side(side, python, url, database, watched / "scratch")
        with ExitStack() as cloud:
            exports = cloud.enter_context(_bigquery(folder, database)) if side == BIGQUERY else {}
            measured = measure.run(command, environment | exports, watched, tell)
        rows, digest = _content(database)
    stages = json.loads(measured.output.splitlines()[-1])["stage_seconds"] if side != PLAIN else {}
    return Result(
        side=side,
        records=records,
        seconds=measured.seconds,
        cpu_s=measured.cpu_s,
        peak_mib=measured.peak_mib,
        disk_mib=measured.disk_mib,
        rows=rows,
        digest=digest,
        stage_seconds=stages,
    )


@contextmanager
def _bigquery(folder: Path, database: Path) -> Iterator[dict[str, str]]:
    """What makes a load land in an emulator's BigQuery; its file is at `database` afterwards."""
    account = f"ingestion@{PROJECT}.iam.gserviceaccount.com"
    with adc.granted(account, PROJECT) as identity, process.start(state=folder / "cloud") as cloud:
        host = cloud["env"]["BIGQUERY_EMULATOR_HOST"]
        yield identity | {
            "DESTINATION": "bigquery",
            "GCP_PROJECT_ID": PROJECT,
            "BIGQUERY_EMULATOR_HOST": host,
        }
    (folder / "cloud" / "bigquery" / f"{PROJECT}.duckdb").rename(database)


def _side(
    side: str, python: str, url: str, database: Path, scratch: Path
) -> tuple[list[str], dict[str, str]]:
    common = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "DUCKDB_PATH": str(database),
        "DOG_API_BASE_URL": url,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    if side == PLAIN:
        return [python, str(ROOT / "benchmarks" / "plain_ingest.py")], common | {
            "PIPELINES_DIR": str(scratch)
        }
    ours = common | {
        "PYTHONPATH": str(IMAGE),
        "DESTINATION": "duckdb",
        "PAGE_SIZE": str(PAGE_SIZE),
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # as the Dockerfile sets it
    }
    if side == ARRAY:
        ours["DOG_API_BASE_URL"] = url.removesuffix("/v1") + "/faults/no-paging/v1"
    return [python, "-m", "dlt_ingestion"], ours


def _scratch() -> Path:
    folder = ROOT / ".state" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _content(database: Path) -> tuple[int, str]:
    """Number of rows, and a digest of ids and records that depends neither on order nor on how JSON is spelt."""
    rows, total = 0, 0
    told = time.monotonic()
    with duckdb.connect(str(database), read_only=True) as connection:
        cursor = connection.execute("SELECT row_id, breed_json FROM dog_breeds_raw.dog_breeds_resource")
        while batch := cursor.fetchmany(20_000):
            for row_id, record in batch:
                text = orjson.dumps([row_id, orjson.loads(record)], option=orjson.OPT_SORT_KEYS)
                total += int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
            rows += len(batch)
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                console.print(f"  comparing: {rows:,} rows read back")
    return rows, f"{total % 2**64:016x}"


def _of(results: list[Result], side: str, records: int) -> Result:
    return next(result for result in results if (result.side, result.records) == (side, records))


def _problems(results: list[Result]) -> list[str]:
    problems = []
    for result in results:
        plain = _of(results, PLAIN, result.records)
        if (result.rows, result.digest) != (plain.rows, plain.digest) or result.rows != result.records:
            problems.append(
                f"{result.side}, {result.records:,} records: the table differs from the plain one"
            )
        if result.side != PLAIN and result.peak_mib > LIMIT_MIB:
            problems.append(
                f"{result.side}, {result.records:,} records: over the container's {LIMIT_MIB} MiB"
            )
    return problems


def _show(results: list[Result]) -> None:
    table = Table(title="Dog breeds into DuckDB and BigQuery")
    for heading in (
        "records",
        "side",
        "seconds",
        "CPU s",
        "records/s",
        "ratio",
        "peak MiB",
        "disk MiB",
        "same rows",
    ):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for result in results:
        plain = _of(results, PLAIN, result.records)
        same = (result.rows, result.digest) == (plain.rows, plain.digest)
        table.add_row(
            f"{result.records:,}",
            result.side,
            f"{result.seconds:.1f}",
            f"{result.cpu_s:.1f}",
            f"{result.per_second:,.0f}",
            f"{result.per_second / plain.per_second:.1f}",
            f"{result.peak_mib:,.0f}",
            f"{result.disk_mib:,.0f}",
            "yes" if same else "NO",
        )
    console.print(table)
    for result in results:
        if result.stage_seconds:
            stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.stage_seconds.items())
            console.print(f"{result.side}, {result.records:,}: {stages}")


def _write(results: list[Result], output: Path, source: Path) -> None:
    smallest, largest = min(r.records for r in results), max(r.records for r in results)
    ours, plain = _of(results, OURS, largest), _of(results, PLAIN, largest)
    figures: dict[str, Any] = {
        "ratio_1m": round(ours.per_second / plain.per_second, 2),
        "peak_mib_10k": round(_of(results, OURS, smallest).peak_mib, 1),
        "peak_mib_1m": round(ours.peak_mib, 1),
        "records_per_s_1m": round(ours.per_second),
        "limit_mib": LIMIT_MIB,
        "records": [smallest, largest],
        "source": source.name,
        "peak_mib_1m_array": round(_of(results, ARRAY, largest).peak_mib, 1),
        "records_per_s_1m_array": round(_of(results, ARRAY, largest).per_second),
        "peak_mib_1m_bigquery": round(_of(results, BIGQUERY, largest).peak_mib, 1),
        "records_per_s_1m_bigquery": round(_of(results, BIGQUERY, largest).per_second),
        "loads": [asdict(result) for result in results],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"figures in {output}")


if __name__ == "__main__":
    sys.exit(main())
