"""What every file format of a load job can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from gcp_emulator.bigquery.types import Field, literal
from gcp_emulator.json_api import Refusal

GZIP = b"\x1f\x8b"


class Source(ABC):
    """`named`: the file says its columns' names; else they are the table's, in order."""

    def __init__(self, paths: Sequence[Path], load: Mapping[str, Any]) -> None:
        self._paths = [path for path in paths if path.stat().st_size]
        self._load = load

    @property
    def empty(self) -> bool:
        return not self._paths

    @property
    @abstractmethod
    def typed(self) -> bool:
        """Whether the files themselves say the types of their columns."""

    @abstractmethod
    def detect(self, cursor: duckdb.DuckDBPyConnection) -> list[Field]:
        """The columns that the files have, by what is in them."""

    @abstractmethod
    def names(self, cursor: duckdb.DuckDBPyConnection, fields: Sequence[Field]) -> list[str]:
        """Which columns the files have; `fields` are the table's."""

    @abstractmethod
    def select(self, fields: Sequence[Field]) -> str:
        """DuckDB's SELECT of these columns, in their types; it fails on the first value that does not fit."""

    @property
    def _files(self) -> str:
        return "[" + ", ".join(literal(str(path)) for path in self._paths) + "]"

    @property
    def _compression(self) -> str:
        with self._paths[0].open("rb") as file:
            return "gzip" if file.read(2) == GZIP else "none"

    @property
    def _tolerant(self) -> bool:
        return int(self._load.get("maxBadRecords") or 0) > 0


def unreadable(what: str) -> Refusal:
    """How a load job words what is wrong with the data."""
    return Refusal(400, "invalid", f"Error while reading data, error message: {what}")
