"""Runs the dbt project beside it twice, rows changing in between, and prints what came of it as JSON.

`python twice.py FOLDER` in an environment with dbt-bigquery; FOLDER holds a copy of the project.
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from google.cloud import bigquery

FOLDER = Path(sys.argv[1])
os.environ |= {
    "DBT_PROJECT_DIR": str(FOLDER),
    "DBT_PROFILES_DIR": str(FOLDER),
    "DBT_LOG_LEVEL": "none",
    "DBT_LOG_LEVEL_FILE": "none",
}
warnings.filterwarnings("ignore", "Cannot create BigQuery Storage client", UserWarning)

from dbt.cli.main import dbtRunner  # noqa: E402

client = bigquery.Client(project="local-project", location="EU")


def query(sql: str) -> list[list[Any]]:
    return [list(row.values()) for row in client.query_and_wait(sql)]


def dbt(*command: str) -> dict[str, list[Any]]:
    """By node: status, failures and, where it failed, the message."""
    done = dbtRunner().invoke(list(command))
    if done.exception:
        raise done.exception
    told = {}
    for result in done.result.results if hasattr(done.result, "results") else []:
        broken = str(result.status) in ("error", "runtime error")
        told[result.node.name] = [str(result.status), result.message if broken else result.failures]
    return told


def field(table: str, name: str) -> bigquery.SchemaField:
    return next(each for each in client.get_table(table).schema if each.name == name)


query("create schema if not exists shop_raw options (location = 'EU')")
query("create table shop_raw.long_ago as select timestamp '2020-01-01 00:00:00+00' as loaded_at")
query(
    "create table shop_raw.orders "
    "(id int64, customer_id int64, state string, amount numeric, day date, loaded_at timestamp)"
)
query(
    "insert into shop_raw.orders values "
    "(1, 1, 'open', 10.5, '2026-01-01', '2026-01-01 10:00:00+00'), "
    "(2, 2, 'lost', 7, '2026-01-02', '2026-01-02 10:00:00+00')"
)
first = dbt("build")

query("update shop_raw.orders set state = 'paid', loaded_at = current_timestamp() where id = 2")
query("insert into shop_raw.orders values (3, 1, 'open', 1, '2026-01-02', current_timestamp())")
# behind dbt's back: merge must leave order 1 alone, insert_overwrite the first day and only that
query("update shop.orders set amount = 99 where id = 1")
query("update shop.orders_by_day set amount = 77 where true")
(FOLDER / "seeds" / "customers.csv").write_text(
    'id,name,joined,points\n1,"Ada, L.",2026-01-01,1.5\n2,Grace H.,2026-01-02,\n'
)
second = dbt("build", "--vars", "{later: true}")

days = client.get_table("shop.orders_by_day")
print(
    json.dumps(
        {
            "first": first,
            "second": second,
            "orders": query("select id, state, amount, shouted from shop.orders order by id"),
            "by_day": query("select day, customer_id, amount from shop.orders_by_day order by 1, 2"),
            "partitioned": days.time_partitioning.field if days.time_partitioning else None,
            "clustered": days.clustering_fields,
            "history": query(
                "select id, name, dbt_valid_to is null from shop.customers_over_time order by id, dbt_valid_from"
            ),
            "seed": query("select id, name, joined, points from shop.customers order by id"),
            "described": [
                client.get_table("shop.orders").description,
                field("shop.orders", "id").description,
            ],
            "freshness": dbt("source", "freshness"),
            "docs": dbt("docs", "generate"),
            "catalog": json.loads((FOLDER / "target" / "catalog.json").read_text()),
        },
        default=str,
    )
)
