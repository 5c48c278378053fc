"""Which types GoogleSQL brings to a common one by itself. DuckDB does so with many more: they are refused here.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules#coercion
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.types import Field, sql_type

NUMBERS = frozenset({"INTEGER", "NUMERIC", "BIGNUMERIC", "FLOAT"})
DAYS = frozenset({"DATE", "DATETIME"})
DAY, CLOCK = r"\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
WRITTEN: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "DATE": (r"\d{4}-\d{1,2}-\d{1,2}", lambda text: date(*map(int, text.split("-")))),
    "DATETIME": (f"{DAY}([ T]{CLOCK})?", datetime.fromisoformat),
    "TIME": (CLOCK, time.fromisoformat),
    "TIMESTAMP": (
        rf"{DAY}([ T]{CLOCK})?(Z| UTC|[+-]\d{{2}}(:00)?)?",
        lambda text: datetime.fromisoformat(text.removesuffix(" UTC")),
    ),
}


@dataclass(frozen=True, slots=True)
class Operand:
    """`field` is None for NULL and for what has no type of BigQuery's; `written` is a string constant's text."""

    field: Field | None
    written: str | None = None
    free: bool = False  # a constant or parameter

    @property
    def told(self) -> str:
        return sql_type(self.field) if self.field else "INT64"

    @property
    def kind(self) -> str:
        if self.field is None:
            return ""
        return "ARRAY" if self.field.get("mode") == "REPEATED" else str(self.field["type"])


Rule = Callable[[Sequence[Operand]], None]


def operand(node: exp.Expression, field: Field | None) -> Operand:
    while isinstance(node, exp.Paren | exp.Alias):
        node = node.this
    if isinstance(node, exp.Null):
        return Operand(None, free=True)
    text = isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string)
    return Operand(field, str(node.this) if text else None, text or isinstance(node, exp.Parameter))


def alike(left: Field, right: Field) -> bool:
    """Whether columns of these types have a common supertype."""
    if (left.get("mode") == "REPEATED") != (right.get("mode") == "REPEATED"):
        return False
    if left.get("null") or right.get("null"):
        return True
    one, other = left["type"], right["type"]
    if one == other == "RECORD":
        pairs = list(zip(left["fields"], right["fields"], strict=False))
        if len(left["fields"]) != len(right["fields"]) or not all(alike(*pair) for pair in pairs):
            return False
        if any(a["name"].lower() != b["name"].lower() for a, b in pairs):  # which DuckDB goes by
            raise unsupported("STRUCTs beside one another whose fields have other names")
        return True
    return one == other or {one, other} <= NUMBERS or {one, other} <= DAYS


def common(operands: Sequence[Operand]) -> bool:
    """Whether there is one; Refusal for a string constant that is not of the others' type."""
    typed = [each for each in operands if each.field is not None]
    strict = [each for each in typed if not each.free]
    if not strict:
        free = [each.field for each in typed if each.field]
        return all(alike(free[0], field) for field in free)
    first = strict[0].field
    assert first is not None
    if not all(each.field and alike(first, each.field) for each in strict):
        return False
    wide = "DATETIME" if any(each.kind == "DATETIME" for each in strict) else strict[0].kind
    return all(_taken(each, wide, first) for each in typed if each.free)


def _taken(each: Operand, kind: str, field: Field) -> bool:
    if kind not in WRITTEN or each.kind != "STRING":
        return each.field is not None and alike(each.field, field)
    if each.written is not None:
        shape, read = WRITTEN[kind]
        try:
            if not re.fullmatch(shape, each.written):
                raise ValueError(each.written)
            read(each.written)
        except ValueError:
            raise invalid_query(
                f'Could not cast literal "{each.written}" to type {kind} '
                "(of which the emulator takes only the canonical form)"
            ) from None
    return True
