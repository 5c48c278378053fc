"""Files of load jobs, read as their table's columns need them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.sources.base import Source
from gcp_emulator.bigquery.sources.csv import Csv
from gcp_emulator.bigquery.sources.json_lines import JsonLines
from gcp_emulator.bigquery.sources.parquet import Parquet

MATCHED = "FILE_SET_SPEC_TYPE_FILE_SYSTEM_MATCH"
FORMATS: Mapping[str, type[Source]] = {
    "CSV": Csv,
    "NEWLINE_DELIMITED_JSON": JsonLines,
    "PARQUET": Parquet,
}


def source(paths: Sequence[Path], load: Mapping[str, Any]) -> Source:
    """The files as `configuration.load` says they are to be read; Refusal for a format that is not served."""
    kind = str(load.get("sourceFormat") or "CSV").upper()
    if kind not in FORMATS:
        raise errors.unsupported(f"load jobs of format {kind} (but {', '.join(FORMATS)})")
    for option in ("hivePartitioningOptions", "jsonExtension"):
        if load.get(option):
            raise errors.unsupported(f"load jobs with {option}")
    if str(load.get("fileSetSpecType") or MATCHED) != MATCHED:
        raise errors.unsupported("load jobs from manifests of files")
    return FORMATS[kind](paths, load)


__all__ = ["Source", "source"]
