"""Parquet files: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet."""

from collections.abc import Sequence

import duckdb

from gcp_emulator.bigquery.sources.base import Source
from gcp_emulator.bigquery.types import Field, described, duck_type, quoted


class Parquet(Source):
    """Its columns have names and types of their own; lists are arrays, as with enableListInference."""

    typed = True

    def detect(self, cursor: duckdb.DuckDBPyConnection) -> list[Field]:
        return described(cursor.execute(f"SELECT * FROM {self._relation} LIMIT 0").description)

    def names(self, cursor: duckdb.DuckDBPyConnection, fields: Sequence[Field]) -> list[str]:
        return [field["name"] for field in self.detect(cursor)]

    def select(self, fields: Sequence[Field]) -> str:
        columns = ", ".join(
            f"CAST({quoted(field['name'])} AS {duck_type(field)}) AS {quoted(field['name'])}"
            for field in fields
        )
        return f"SELECT {columns} FROM {self._relation}"

    @property
    def _relation(self) -> str:
        return f"read_parquet({self._files}, union_by_name = true)"
