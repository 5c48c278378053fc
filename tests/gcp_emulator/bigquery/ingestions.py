"""dlt's own BigQuery destination, run as a job would run it: `python ingestions.py PROJECT FOLDER` prints JSON by case.

A process of its own, because google-auth reads where its metadata server is when it is imported.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations import bigquery

PROJECT, FOLDER = sys.argv[1], Path(sys.argv[2])
REPLACES = ("truncate-and-insert", "insert-from-staging", "staging-optimized")
MERGES = ("delete-insert", "upsert", "insert-only")
os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DLT_DATA_DIR": str(FOLDER),
    "LOAD__RAISE_ON_FAILED_JOBS": "true",
}


def rows(*names: str) -> list[dict[str, Any]]:
    """Breeds with what makes a destination work for it: decimals, times, nulls, a list of its own."""
    return [
        {
            "id": number,
            "name": name,
            "weight": 1.5 * number,
            "born": "2026-01-02T03:04:05Z",
            "none": None,
            "groups": [{"group": "a"}, {"group": "b"}],
        }
        for number, name in enumerate(names, 1)
    ]


def pipeline(name: str, folder: str = "", **config: Any) -> dlt.Pipeline:
    return dlt.pipeline(
        name,
        pipelines_dir=str(FOLDER / (folder or name)),
        destination=bigquery(project_id=PROJECT, location="US", **config),
        dataset_name=f"set_{name}",
    )


def names(of: dlt.Pipeline, table: str = "breeds", column: str = "name") -> list[Any]:
    with (
        of.sql_client() as client,
        client.execute_query(f"SELECT {column} FROM {table} ORDER BY 1") as cursor,
    ):
        return [row[0] for row in cursor.fetchall()]


def replaced(strategy: str, kind: str) -> Any:
    made = pipeline(f"replace_{strategy.replace('-', '_')}_{kind}", replace_strategy=strategy)
    for given in (rows("Akita", "Boxer"), rows("Corgi")):
        made.run(given, table_name="breeds", write_disposition="replace", loader_file_format=kind)
    return names(made), len(names(made, "breeds__groups", "`group`"))


def merged(strategy: str) -> Any:
    made = pipeline(f"merge_{strategy.replace('-', '_')}")
    disposition = {"disposition": "merge", "strategy": strategy}

    @dlt.resource(name="breeds", primary_key="id", write_disposition=disposition)
    def breeds(given: list[dict[str, Any]]) -> Iterator[Any]:
        yield given

    for given in (rows("Akita", "Boxer"), rows("Corgi", "Dingo", "Eurasier")):
        made.run(breeds(given))
    return names(made), len(names(made, "breeds__groups", "`group`"))


def history() -> Any:
    """scd2: what a row was is kept, with the time until which it was so."""
    made = pipeline("scd2")

    @dlt.resource(name="breeds", write_disposition={"disposition": "merge", "strategy": "scd2"})
    def breeds(given: list[dict[str, Any]]) -> Iterator[Any]:
        yield given

    for given in (rows("Akita", "Boxer"), rows("Akita", "Corgi")):
        made.run(breeds(given))
    return names(made), len([end for end in names(made, column="_dlt_valid_to") if end])


def appended() -> Any:
    made = pipeline("append")
    for given in (rows("Akita"), rows("Boxer")):
        made.run(given, table_name="breeds")
    return names(made)


def evolved() -> Any:
    """A column more, and one whose type has changed, which dlt keeps beside the old one."""
    made = pipeline("evolved")
    made.run([{"id": 1, "weight": 1}], table_name="breeds")
    made.run([{"id": 2, "weight": "heavy", "colour": "red", "info": {"x": 1}}], table_name="breeds")
    fields = sorted(made.default_schema.tables["breeds"]["columns"])
    return [field for field in fields if not field.startswith("_dlt")], names(made, column="weight__v_text")


def restored() -> Any:
    """A pipeline whose folder is gone goes on where it was."""

    @dlt.resource(name="breeds")
    def breeds(last: Any = dlt.sources.incremental("id", initial_value=0)) -> Iterator[Any]:  # noqa: B008
        yield [{"id": number} for number in range(1, 4) if number > (last.last_value or 0)]

    pipeline("state").run(breeds())
    again = pipeline("state", "elsewhere")
    again.run(breeds())
    return names(again, column="id"), again.last_trace is not None


def read() -> Any:
    """What DAGs and people do with a loaded dataset."""
    made = pipeline("read")
    made.run(rows("Akita", "Boxer"), table_name="breeds")
    data = made.dataset()
    return len(data.breeds.df()), data.breeds.select("id").arrow().num_rows


CASES: dict[str, Callable[[], Any]] = {
    **{f"replace {strategy} parquet": lambda s=strategy: replaced(s, "parquet") for strategy in REPLACES},  # type: ignore[misc]
    "replace truncate-and-insert jsonl": lambda: replaced("truncate-and-insert", "jsonl"),
    **{f"merge {strategy}": lambda s=strategy: merged(s) for strategy in MERGES},  # type: ignore[misc]
    "merge scd2": history,
    "append": appended,
    "evolution": evolved,
    "state": restored,
    "read": read,
}


def result(name: str) -> Any:
    """Of one case; its traceback where it fails."""
    try:
        return CASES[name]()
    except Exception:
        return traceback.format_exc()


def main() -> None:
    cases = sys.argv[3:] or list(CASES)
    with ThreadPoolExecutor(len(cases)) as pool:  # most of their time they wait for dlt's next look at a job
        found = dict(zip(cases, pool.map(result, cases), strict=True))
    print(
        json.dumps(found, default=str), file=sys.__stdout__
    )  # dlt's threads leave another one in sys.stdout


if __name__ == "__main__":
    main()
