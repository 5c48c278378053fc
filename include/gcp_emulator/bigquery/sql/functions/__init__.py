"""GoogleSQL's functions in DuckDB: macros whose overloads its binder chooses by the arguments' types, and Python's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling

from gcp_emulator.bigquery.sql.functions import dates, json_values, numbers, parts, strings
from gcp_emulator.bigquery.sql.functions.udf import Udf

SCHEMA = "_gsql"  # the in-memory database with the macros; no project's id has an underscore
PYTHON = {**numbers.FUNCTIONS, **strings.FUNCTIONS, **dates.FUNCTIONS, **json_values.FUNCTIONS}


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Once for a DuckDB instance: all its cursors and attached databases then know the functions."""
    for name, udf in PYTHON.items():
        connection.create_function(
            f"_gsql_{name}",
            udf.call if udf.nulls else _unless_null(udf),
            list[Any](udf.takes),
            udf.gives,
            null_handling=FunctionNullHandling.SPECIAL,
        )
    connection.execute(f"ATTACH ':memory:' AS {SCHEMA}")
    for path in sorted(Path(__file__).parent.glob("*.sql")):
        for statement in path.read_text().split(";\n"):
            if "CREATE" in statement:
                connection.execute(statement)
    for statement in parts.macros():
        connection.execute(statement)


def _unless_null(udf: Udf) -> Callable[..., Any]:
    """NULL for a NULL argument; with as many parameters as `takes`, which DuckDB counts."""
    call = udf.call

    def one(a: Any) -> Any:
        return None if a is None else call(a)

    def two(a: Any, b: Any) -> Any:
        return None if a is None or b is None else call(a, b)

    def three(a: Any, b: Any, c: Any) -> Any:
        return None if a is None or b is None or c is None else call(a, b, c)

    def four(a: Any, b: Any, c: Any, d: Any) -> Any:
        return None if a is None or b is None or c is None or d is None else call(a, b, c, d)

    return (one, two, three, four)[len(udf.takes) - 1]
