"""GoogleSQL on DuckDB: what is known to give BigQuery's results is translated, all else is refused by its name."""

from gcp_emulator.bigquery.sql import functions
from gcp_emulator.bigquery.sql.faults import from_duckdb
from gcp_emulator.bigquery.sql.names import Catalog, Names, Session, Statement, TableName, Translation
from gcp_emulator.bigquery.sql.script import run_script
from gcp_emulator.bigquery.sql.statements import is_script, parse
from gcp_emulator.bigquery.sql.translate import expression, translate

__all__ = [
    "Catalog",
    "Names",
    "Session",
    "Statement",
    "TableName",
    "Translation",
    "expression",
    "from_duckdb",
    "functions",
    "is_script",
    "parse",
    "run_script",
    "translate",
]
