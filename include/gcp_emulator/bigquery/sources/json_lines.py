"""Newline-delimited JSON: every line an object, its keys the columns."""

from collections.abc import Sequence

import duckdb

from gcp_emulator.bigquery.sources import values
from gcp_emulator.bigquery.sources.base import Source
from gcp_emulator.bigquery.types import Field, described, literal, quoted

ROW_BYTES = 128 << 20  # https://cloud.google.com/bigquery/quotas: a JSON row is 100 MB at most


class JsonLines(Source):
    """Read as JSON first, then value by value as the columns need them."""

    typed = False

    def detect(self, cursor: duckdb.DuckDBPyConnection) -> list[Field]:
        found = described(cursor.execute(f"SELECT * FROM {self._relation('')} LIMIT 0").description)
        return [detected(field) for field in found]

    def names(self, cursor: duckdb.DuckDBPyConnection, fields: Sequence[Field]) -> list[str]:
        """As the table writes them, where they differ in case only."""
        spelled = {field["name"].lower(): field["name"] for field in fields}
        objects = f"read_ndjson_objects({self._files}, {self._options})"
        rows = cursor.execute(f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM {objects}").fetchall()
        return sorted({spelled.get(name.lower(), name) for (name,) in rows})

    def select(self, fields: Sequence[Field]) -> str:
        columns = ", ".join(
            f"{values.of_json(quoted(field['name']), field)} AS {quoted(field['name'])}" for field in fields
        )
        kinds = ", ".join(f"{literal(field['name'])}: 'JSON'" for field in fields)
        return f"SELECT {columns} FROM {self._relation(f', columns = {{{kinds}}}')}"

    @property
    def _options(self) -> str:
        tolerant = ", ignore_errors = true" if self._tolerant else ""
        compression = {"none": "uncompressed"}.get(self._compression, self._compression)
        return f"compression = '{compression}', maximum_object_size = {ROW_BYTES}{tolerant}"

    def _relation(self, more: str) -> str:
        return f"read_json({self._files}, format = 'newline_delimited', {self._options}{more})"


def detected(field: Field) -> Field:
    """What BigQuery's autodetection makes of it: points in time are TIMESTAMPs, other objects records."""
    if field["type"] == "DATETIME":
        return {**field, "type": "TIMESTAMP"}
    if field["type"] == "JSON":
        return {**field, "type": "STRING"}
    if field["type"] == "RECORD":
        return {**field, "fields": [detected(child) for child in field["fields"]]}
    return field
