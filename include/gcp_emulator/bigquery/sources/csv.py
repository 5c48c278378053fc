"""CSV files: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-csv#csv-options."""

from collections.abc import Sequence
from typing import Any

import duckdb

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.sources import values
from gcp_emulator.bigquery.sources.base import Source
from gcp_emulator.bigquery.sources.json_lines import detected
from gcp_emulator.bigquery.types import Field, described, literal, quoted

ENCODINGS = {"UTF-8": "utf-8", "UTF8": "utf-8", "ISO-8859-1": "latin-1"}


class Csv(Source):
    """Read as text first, then value by value as the columns need them; columns are the table's, in order."""

    typed = False

    def detect(self, cursor: duckdb.DuckDBPyConnection) -> list[Field]:
        skip = int(self._load.get("skipLeadingRows") or 0)
        header = f", header = true, skip = {skip - 1}" if skip else ""
        relation = f"read_csv({self._files}, {self._options()}{header})"
        return [
            detected(field)
            for field in described(cursor.execute(f"SELECT * FROM {relation} LIMIT 0").description)
        ]

    def names(self, cursor: duckdb.DuckDBPyConnection, fields: Sequence[Field]) -> list[str]:
        return [field["name"] for field in fields]

    def select(self, fields: Sequence[Field]) -> str:
        """Autodetection has taken the first line for names, where there is one."""
        skip = int(self._load.get("skipLeadingRows") or 0)
        names = [field["name"] for field in fields]
        columns = "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"
        header = bool(self._load.get("autodetect")) and not skip and self._headed(names)
        options = self._options(
            auto_detect="false",
            header="false",
            skip=str(1 if header else skip),
            columns=columns,
            null_padding="true" if self._load.get("allowJaggedRows") else "false",
        )
        made = ", ".join(
            f"{values.scalar(quoted(field['name']), _single(field))} AS {quoted(field['name'])}"
            for field in fields
        )
        return f"SELECT {made} FROM read_csv({self._files}, {options})"

    def _headed(self, names: Sequence[str]) -> bool:
        with self._paths[0].open(encoding="utf-8", errors="replace") as file:
            first = file.readline().strip()
        return all(name.lower() in first.lower() for name in names)

    def _options(self, **more: str) -> str:
        load = self._load
        encoding = str(load.get("encoding") or "UTF-8").upper()
        if encoding not in ENCODINGS:
            raise errors.unsupported(f"CSV files in {encoding}")
        delimiter = load.get("fieldDelimiter") or ","
        quote = '"' if load.get("quote") is None else load["quote"]
        given: dict[str, Any] = {
            "delim": literal({"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)),
            "quote": literal(quote),
            "escape": literal(quote),
            "nullstr": literal(load.get("nullMarker") or ""),
            "allow_quoted_nulls": "false",
            "encoding": literal(ENCODINGS[encoding]),
            "compression": literal(self._compression),
        }
        if self._tolerant:
            given["ignore_errors"] = "true"
        return ", ".join(f"{name} = {value}" for name, value in {**given, **more}.items())


def _single(field: Field) -> Field:
    if field.get("mode") == "REPEATED" or field["type"] == "RECORD":
        raise errors.invalid(
            f"Invalid field: {field['name']}. CSV cannot hold nested or repeated columns.", field["name"]
        )
    return field
