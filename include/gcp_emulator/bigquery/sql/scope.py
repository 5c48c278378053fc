"""What a name may mean where an expression stands."""

from dataclasses import dataclass, field

import duckdb

from gcp_emulator.bigquery.sql.checks import Checks
from gcp_emulator.bigquery.sql.names import Names, TableName


@dataclass(slots=True)
class Scope:
    """One SELECT: the columns it can see (`open` where some are not known), aliases that may stand for expressions."""

    tables: dict[str, dict[str, str]] = field(default_factory=dict)  # alias -> column -> REST type
    open: bool = False
    aliases: dict[str, str] = field(default_factory=dict)  # SELECT's own, while HAVING or QUALIFY is compiled
    hidden: set[str] = field(default_factory=set)  # the SELECT list's own names, which WHERE does not see
    filtered: set[str] = field(default_factory=set)  # columns that WHERE names
    lateral: list[str] = field(default_factory=list)  # FROM items so far, as DuckDB's SQL
    joined: list[str] = field(default_factory=list)  # aliases that USING may mean
    checks: Checks = field(default_factory=Checks)


@dataclass(slots=True)
class Context:
    """What one statement's translation shares: names in, references out, CTEs in sight."""

    names: Names
    references: list[TableName] = field(default_factory=list)
    ctes: list[dict[str, list[str] | None]] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    views: tuple[TableName, ...] = ()
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    changing: bool = False  # in DML a STRUCT without names takes those of its column
    stubs: dict[str, str] = field(default_factory=dict)  # CTE -> a query of its columns, for checks
    recursive: list[str] = field(default_factory=list)  # CTEs that are being compiled
    checks: Checks = field(default_factory=Checks)  # of expressions outside of any SELECT
    unbound: list[duckdb.Error] = field(default_factory=list)  # of checks

    @property
    def cursor(self) -> duckdb.DuckDBPyConnection | None:
        """What binds, None where there is nothing to name."""
        return getattr(self.names.session, "cursor", None)

    def cte(self, name: str) -> bool:
        return any(name.lower() in known for known in self.ctes)

    def sees(self, column: str) -> bool:
        """Whether some enclosing FROM surely has this column."""
        return any(column.lower() in columns for scope in self.scopes for columns in scope.tables.values())
