"""Runs the job several times in one process, on raw tables good, bad, old and missing; prints what came of it as JSON.

`python drive.py GOOD.json FOLDER` in the image's own environment: GOOD.json holds records, FOLDER takes reports.
"""

import contextlib
import io
import json
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from dog_breeds_tables.job import main

PROJECT = "local-project"
RAW = "dog_breeds_raw.dog_breeds_resource"
records: list[dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text())
warnings.filterwarnings("ignore", "Cannot create BigQuery Storage client", UserWarning)
client = bigquery.Client(project=PROJECT)


def query(sql: str) -> list[list[Any]]:
    return [list(row.values()) for row in client.query_and_wait(sql)]


def load(rows: list[dict[str, Any]], age: timedelta = timedelta()) -> None:
    """What the ingestion leaves behind."""
    query(
        f"create or replace table {RAW} "
        "(row_id int64 not null, breed_json json not null, updated_at timestamp not null)"
    )
    stamp = (datetime.now(UTC) - age).isoformat(sep=" ")
    texts = [bigquery.ScalarQueryParameter(None, "STRING", json.dumps(row)) for row in rows]
    values = ", ".join(f"({row['id']}, parse_json(?), timestamp '{stamp}')" for row in rows)
    if rows:
        client.query_and_wait(
            f"insert into {RAW} values {values}",
            job_config=bigquery.QueryJobConfig(query_parameters=texts),
        )


def run(name: str, **environ: str) -> dict[str, Any]:
    """One run's last log line."""
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        main(
            {
                "GCP_PROJECT_ID": PROJECT,
                "CLOUD_RUN_EXECUTION": name,
                "REPORT": f"{sys.argv[2]}/{name}",
                **environ,
            }
        )
    last: dict[str, Any] = json.loads(log.getvalue().splitlines()[-1])
    return last


def units() -> dict[str, str]:
    """The project's unit tests: name -> outcome."""
    from dbt.cli.main import dbtRunner

    done = dbtRunner().invoke(["--log-level", "none", "test", "--select", "test_type:unit"])
    return {result.node.name: f"{result.status} {result.message or ''}".strip() for result in done.result}


def tables() -> dict[str, Any]:
    return {
        "dim": query("select breed_id, name, breed_group, life_span_min_years, life_span_max_years, weight_min_kg, "
                     "weight_max_kg, weight_source, origin from dog_breeds.dim_breeds order by breed_id"),
        "temperaments": query("select breed_id, temperament from dog_breeds.breed_temperaments order by 1, 2"),
    }  # fmt: skip


def quarantine() -> list[list[Any]]:
    return query(
        "select row_id, reason, check_name, run_id, json_value(breed_json, '$.life_span') "
        "from dog_breeds.breeds_quarantine order by row_id, reason"
    )


told: dict[str, Any] = {"no_raw": run("no-raw")}
query("create schema dog_breeds_raw")
load(records)
told["good"] = run("good")
told["tables"] = tables()
told["units"] = units()
bad = json.loads(json.dumps(records))
bad[0]["life_span"], bad[1]["life_span"] = "45 years", "1 - 2 years"
load([*bad, bad[2]])
told["bad"], told["again"] = run("bad"), run("again")
told["tables_after"], told["quarantine"] = tables(), quarantine()
load([record | {"weight": {}} if n % 5 == 0 else record for n, record in enumerate(records)])
told["light"] = run("light")
load([])
told["empty"] = run("empty")
load(records, age=timedelta(days=20))
told["old"] = run("old")
told["kept"] = len(quarantine())
print(json.dumps(told, default=str))
