"""What an expression's types must be, asked of DuckDB's binder once for all expressions of a SELECT."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
from sqlglot import exp

from gcp_emulator.bigquery import types
from gcp_emulator.bigquery.sql import coercion
from gcp_emulator.bigquery.sql.coercion import Operand, Rule
from gcp_emulator.bigquery.sql.known import AGGREGATES
from gcp_emulator.bigquery.types import Field, quoted
from gcp_emulator.json_api import Refusal

Pending = tuple["Check | Inner", ...]


@dataclass(frozen=True, slots=True)
class Check:
    """`texts` is DuckDB's SQL of `nodes`."""

    nodes: tuple[exp.Expression, ...]
    texts: tuple[str, ...]
    rule: Rule

    @property
    def aggregated(self) -> bool:
        return any(_aggregated(node) for node in self.nodes)

    def judge(self, kinds: Sequence[Any]) -> None:
        """Refusal by the rule; `kinds` are DuckDB's types."""
        self.rule(
            [coercion.operand(node, _field(kind)) for node, kind in zip(self.nodes, kinds, strict=True)]
        )


@dataclass(frozen=True, slots=True)
class Inner:
    """The checks of a subquery that reads columns of the query around it."""

    checks: Pending
    texts: tuple[str, ...]
    aggregated: bool = False

    def judge(self, kinds: Sequence[Any]) -> None:
        _judged(self.checks, kinds[0])


@dataclass(slots=True)
class Checks:
    """Those of one SELECT so far."""

    found: list[Check | Inner] = field(default_factory=list)
    unbound: list[duckdb.Error] = field(default_factory=list)  # what DuckDB said of those it could not bind

    def add(self, rule: Rule, nodes: Sequence[exp.Expression], texts: Sequence[str]) -> None:
        if texts:
            self.found.append(Check(tuple(nodes), tuple(texts), rule))

    def settle(
        self, cursor: duckdb.DuckDBPyConnection, ctes: str, source: str, group: str, *, last: bool
    ) -> list[Inner]:
        """Refusal for what does not fit; what could not be asked here is left for the query around, if this is not
        the outermost one. There an expression that DuckDB cannot bind has its error still to come."""
        left = []
        for grouped in (False, True):
            checks = tuple(each for each in self.found if each.aggregated == grouped)
            if not checks:
                continue
            tail = f"{source}{group if grouped else ''}"
            if _asked(cursor, ctes, checks, tail):
                if last:
                    self.unbound += filter(None, (_asked(cursor, ctes, (each,), tail) for each in checks))
                else:
                    left.append(Inner(checks, (f"(SELECT {_struct(checks)}{tail})",)))
        return left


def _asked(cursor: duckdb.DuckDBPyConnection, ctes: str, checks: Pending, tail: str) -> duckdb.Error | None:
    """What DuckDB says if it cannot bind them."""
    try:
        (kind,) = cursor.sql(f"{ctes}SELECT {_struct(checks)}{tail}").types
    except duckdb.Error as error:
        return error
    _judged(checks, kind)
    return None


def _struct(checks: Pending) -> str:
    texts = [text for check in checks for text in check.texts]
    return "{" + ", ".join(f"'c{at}': {text}" for at, text in enumerate(texts)) + "}"


def _judged(checks: Pending, kind: Any) -> None:
    kinds = iter([of for _, of in kind.children])
    for check in checks:
        check.judge([next(kinds) for _ in check.texts])


def _aggregated(node: exp.Expression) -> bool:
    if isinstance(node, exp.Subquery | exp.Select | exp.SetOperation):
        return False
    if isinstance(node, exp.GroupConcat) or (
        isinstance(node, exp.Anonymous)
        and node.name.upper() in AGGREGATES
        and not isinstance(node.parent, exp.Window)
    ):
        return True
    return any(map(_aggregated, node.iter_expressions()))


def _field(kind: Any) -> Field | None:
    if _null(kind):
        return None
    try:
        return _told(types.field("", kind), kind)
    except (Refusal, KeyError, AttributeError):
        return None


def _null(kind: Any) -> bool:
    return str(kind) == '"NULL"'


def _told(made: Field, kind: Any) -> Field:
    """With `null` where a field or an element has no type yet."""
    if kind.id in ("list", "array"):
        of = dict(kind.children)["child"]
        return {**_told(made, of), "null": _null(of)}
    if kind.id == "struct":
        pairs = zip(made["fields"], kind.children, strict=True)
        return {**made, "fields": [_told(child, of) for child, (_, of) in pairs]}
    return {**made, "null": True} if _null(kind) else made


def operands(relation: duckdb.DuckDBPyRelation) -> list[Operand]:
    """A query's columns."""
    return [Operand(_field(kind)) for kind in relation.types]


def stub(relation: duckdb.DuckDBPyRelation) -> str:
    """A query without rows that has these columns, in place of a CTE's own."""
    listed: Iterator[str] = (
        f"CAST(NULL AS {kind}) AS {quoted(name)}" if str(kind) != '"NULL"' else f"NULL AS {quoted(name)}"
        for name, kind in zip(relation.columns, relation.types, strict=True)
    )
    return f"SELECT {', '.join(listed)} WHERE false"
