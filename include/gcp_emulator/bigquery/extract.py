"""Extract jobs: https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationExtract."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gcp_emulator.bigquery import errors, rights
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.objects import Objects, parted
from gcp_emulator.bigquery.types import Field, literal, quoted

KINDS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET")
COMPRESSIONS = {"NONE": "none", "GZIP": "gzip", "SNAPPY": "snappy", "ZSTD": "zstd"}


def extract(
    executor: Executor, config: Mapping[str, Any], project: str, caller: str, objects: Objects
) -> dict[str, Any]:
    """Run `configuration.extract`; the job's statistics of it. Every URI gets one file."""
    given = config["sourceTable"]
    name = (given.get("projectId") or project, given["datasetId"], given["tableId"])
    rights.need(caller, "bigquery.tables.getData", executor.catalog.need_dataset(*name[:2]), name[2])
    table = executor.catalog.need_table(*name)
    kind = str(config.get("destinationFormat") or "CSV").upper()
    if kind not in KINDS:
        raise errors.unsupported(f"extract jobs to format {kind} (but {', '.join(KINDS)})")
    uris = config.get("destinationUris") or [config["destinationUri"]]
    fields = table["schema"]["fields"]
    with TemporaryDirectory(prefix="bigquery-extract-") as folder:
        path = Path(folder) / "out"
        options = _options(kind, config, fields)
        executor.step(
            f"COPY (SELECT {_columns(kind, fields)} FROM {quoted(*name)}) TO {literal(str(path))} ({options})"
        )
        for uri in uris:
            objects.write(*parted(uri.replace("*", f"{0:012}")), path)
    return {"destinationUriFileCounts": ["1"] * len(uris), "inputBytes": table.get("numBytes", "0")}


def _options(kind: str, config: Mapping[str, Any], fields: list[Field]) -> str:
    compression = str(config.get("compression") or "NONE").upper()
    if compression not in COMPRESSIONS:
        raise errors.unsupported(f"extract jobs with compression {compression}")
    packed = COMPRESSIONS[compression]
    if kind == "PARQUET":
        return f"FORMAT parquet, COMPRESSION {'uncompressed' if packed == 'none' else packed}"
    if kind == "NEWLINE_DELIMITED_JSON":
        return f"FORMAT json, COMPRESSION {'uncompressed' if packed == 'none' else packed}"
    for field in fields:
        if field.get("mode") == "REPEATED" or field["type"] == "RECORD":
            raise errors.invalid(f"Operation cannot be performed on a nested schema. Field: {field['name']}")
    header = str(config.get("printHeader", True)).lower()
    delimiter = literal(config.get("fieldDelimiter") or ",")
    return f"FORMAT csv, HEADER {header}, DELIMITER {delimiter}, COMPRESSION {packed}"


def _columns(kind: str, fields: list[Field]) -> str:
    """As BigQuery spells values in text files: UTC, base64, integers as strings in JSON."""
    return ", ".join(f"{_column(kind, field)} AS {quoted(field['name'])}" for field in fields)


def _column(kind: str, field: Field) -> str:
    name = quoted(field["name"])
    if kind == "PARQUET" or field.get("mode") == "REPEATED":
        return name
    if field["type"] == "TIMESTAMP":
        return f"regexp_replace(strftime({name}, '%Y-%m-%d %H:%M:%S.%f'), '\\.?0*$', '') || ' UTC'"
    if field["type"] == "BYTES":
        return f"to_base64({name})"
    if field["type"] == "INTEGER" and kind == "NEWLINE_DELIMITED_JSON":
        return f"CAST({name} AS VARCHAR)"
    return name
