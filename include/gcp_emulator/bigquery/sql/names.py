"""What a statement is translated with, and what it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import duckdb

from gcp_emulator.bigquery.types import Field, quoted

Resource = dict[str, Any]


class TableName(NamedTuple):
    """A table, or with `table` "" a dataset."""

    project: str
    dataset: str
    table: str

    @property
    def duckdb(self) -> str:
        return quoted(*(part for part in self if part))

    @property
    def told(self) -> str:
        return f"{self.project}:{self.dataset}" + (f".{self.table}" if self.table else "")


class Catalog(Protocol):
    """Datasets and tables as their REST resources."""

    location: str

    def datasets(self, project: str) -> Sequence[Resource]: ...
    def dataset(self, project: str, dataset: str) -> Resource | None: ...
    def need_dataset(self, project: str, dataset: str) -> Resource: ...
    def tables(self, project: str, dataset: str) -> Sequence[Resource]: ...
    def table(self, project: str, dataset: str, table: str) -> Resource | None: ...
    def need_table(self, project: str, dataset: str, table: str) -> Resource: ...


class Session(Protocol):
    """Where statements follow one another."""

    cursor: duckdb.DuckDBPyConnection
    variables: dict[str, Any]
    temporary: dict[str, list[Field]]
    id: str

    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """`parameters` as in the REST request; `project` runs the job, `default_dataset` is for names of one part."""

    catalog: Catalog
    project: str
    default_dataset: tuple[str, str] | None
    parameters: Sequence[Mapping[str, Any]]
    session: Session
    user: str = "anonymous"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text, or a block of a script with its parts."""

    text: str
    word: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    line: int = 1


@dataclass(frozen=True, slots=True)
class Translation:
    """DuckDB's steps for one statement; with `query` the only step gives rows."""

    kind: str
    steps: tuple[str, ...]
    query: str | None = None
    target: TableName | None = None
    references: tuple[TableName, ...] = ()
    ddl: str = ""
    resource: Resource | None = None
    temporary: bool = False
    dml: str = ""
    text: str = ""
