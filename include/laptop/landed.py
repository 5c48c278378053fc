"""What a DAG left at its destination, read back there: rows of BigQuery or DuckDB, the report of the tables."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from laptop import buckets
from laptop.environment import DATASETS, DESTINATION, PROJECT, REPORTS, account
from laptop.place import INGESTION, TABLES, Place

RAW = "dog_breeds_resource"
Query = Callable[[str], list[tuple[Any, ...]]]


def landed(place: Place, env: Mapping[str, str], url: str, dag_id: str) -> Iterator[tuple[str, str]]:
    """Lines (label, text) for a DAG that leaves rows, none for others; `url` is the emulator's REST address."""
    raw, tables = (f"{env[name]}_{env['GCP_JOBS_ENVIRONMENT']}" for name in DATASETS)
    if dag_id == INGESTION:
        if env[DESTINATION] == "duckdb":
            with duckdb.connect(str(place.duckdb), read_only=True) as database:
                yield "landed", _breeds(lambda sql: database.execute(sql).fetchall(), raw)
            yield "destination", str(place.duckdb)
        else:
            yield "landed", _breeds(_bigquery(url), raw)
            yield "destination", f"BigQuery, project {PROJECT}"
    if dag_id == TABLES:
        yield from _made(_bigquery(url), tables)
        if report := buckets.newest(url, REPORTS, f"{TABLES}/", ".html"):
            yield "report", report


def _bigquery(url: str) -> Query:
    """Asks the emulator's BigQuery, as the viewer."""
    identity = Credentials(token=account("viewer"))
    client = bigquery.Client(PROJECT, identity, client_options={"api_endpoint": url})
    return lambda sql: [tuple(row) for row in client.query_and_wait(sql)]


def _breeds(query: Query, dataset: str) -> str:
    rows = query(f"select count(*) from {dataset}.{RAW}")[0][0]
    names = query(f"select json_value(breed_json, '$.name') from {dataset}.{RAW} order by row_id limit 3")
    return f"{rows} rows in {dataset}.{RAW} ({', '.join(str(name) for (name,) in names)}, ...)"


def _made(query: Query, dataset: str) -> Iterator[tuple[str, str]]:
    for label, table in (
        ("made", "dim_breeds"),
        ("", "breed_temperaments"),
        ("quarantined", "breeds_quarantine"),
    ):
        yield label, f"{query(f'select count(*) from {dataset}.{table}')[0][0]} rows in {dataset}.{table}"
