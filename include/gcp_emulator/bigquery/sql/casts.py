"""CAST and the constructors of arrays and structs."""

from abc import abstractmethod

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import datatypes, rules
from gcp_emulator.bigquery.sql.calls import Calls
from gcp_emulator.bigquery.types import literal


class Casts(Calls):
    """Compiles what makes a value of a type."""

    def _cast(self, node: exp.Expression) -> str:
        return self.cast(node.this, node.args["to"], safe=False, given=node.args.get("format"))

    def _trycast(self, node: exp.Expression) -> str:
        return self.cast(node.this, node.args["to"], safe=True, given=node.args.get("format"))

    def cast(
        self, value: exp.Expression, kind: exp.DataType, *, safe: bool, given: exp.Expression | None = None
    ) -> str:
        if given is not None:
            raise unsupported("CAST with FORMAT")
        if kind.this in (datatypes.T.ARRAY, datatypes.T.STRUCT):
            return self._constructed(value, kind)
        name = datatypes.name(kind)
        if isinstance(value, exp.Null):
            return f"CAST(NULL AS {datatypes.duckdb(kind)})"
        if name in ("JSON", "INTERVAL"):
            raise unsupported(f"CAST to {name}")
        if name == "BIGNUMERIC":
            return f"{'TRY_' if safe else ''}CAST({self.expr(value)} AS DECIMAL(38,18))"
        made = self.macro(f"{'safe' if safe else 'to'}_{name.lower()}", [value], rule=rules.castable(name))
        if kind.expressions:
            if name != "NUMERIC":
                raise unsupported(f"CAST to {kind.sql('bigquery')}")
            numbers = ",".join(str(part.this) for part in [*kind.expressions, exp.Literal.number(0)][:2])
            return f"{'TRY_' if safe else ''}CAST({made} AS DECIMAL({numbers}))"
        return made

    def _constructed(self, value: exp.Expression, kind: exp.DataType) -> str:
        """ARRAY<T>[..] and STRUCT<..>(..), which are parsed as casts."""
        if isinstance(value, exp.Null):
            return f"CAST(NULL AS {datatypes.duckdb(kind)})"
        if kind.this == datatypes.T.ARRAY and isinstance(value, exp.Array):
            element = kind.expressions[0]
            listed = ", ".join(self._as(item, element) for item in value.expressions)
            return f"CAST([{listed}] AS {datatypes.duckdb(kind)})"
        if kind.this == datatypes.T.STRUCT and isinstance(value, exp.Struct | exp.Tuple | exp.Anonymous):
            items = value.expressions
            fields = datatypes.members(kind)
            if len(fields) != len(items):
                raise invalid_query("STRUCT type has a different number of fields than values")
            made = [
                f"{literal(name)}: {self._as(item, of)}"
                for (name, of), item in zip(fields, items, strict=True)
            ]
            return f"CAST({{{', '.join(made)}}} AS {datatypes.duckdb(kind)})"
        raise unsupported(f"CAST to {kind.sql('bigquery')}")

    def _as(self, item: exp.Expression, kind: exp.DataType) -> str:
        if isinstance(item, exp.Tuple | exp.Array) and kind.this in (datatypes.T.ARRAY, datatypes.T.STRUCT):
            return self._constructed(item, kind)
        return (
            self.expr(item)
            if kind.this in (datatypes.T.STRUCT, datatypes.T.JSON)
            else self.cast(item, kind, safe=False)
        )

    def _struct(self, node: exp.Expression) -> str:
        return self.struct(node.expressions)

    def _array(self, node: exp.Expression) -> str:
        items = node.expressions
        if len(items) == 1 and isinstance(items[0], exp.Select | exp.SetOperation | exp.Subquery):
            return f"ARRAY({self.query(items[0])})"
        return f"[{', '.join(self.checked(rules.elements, self._alike_named(items)))}]"

    def _alike_named(self, items: list[exp.Expression]) -> list[exp.Expression]:
        """STRUCTs whose fields have no names are as the first one's."""
        if not items or not _is_struct(items[0]):
            return items
        titles = [self.title(each) for each in items[0].expressions]
        return [
            exp.Anonymous(
                this="STRUCT",
                expressions=[
                    exp.alias_(of.copy(), name, quoted=True)
                    for of, name in zip(item.expressions, titles, strict=True)
                ],
            )
            if _is_struct(item)
            and len(item.expressions) == len(titles)
            and not any(map(self.title, item.expressions))
            and all(titles)
            else item
            for item in items
        ]

    def _bracket(self, node: exp.Expression) -> str:
        index = node.expressions[0]
        if isinstance(index, exp.Literal) and index.is_string and node.args.get("offset") is None:
            return self.macro("json_item", [node.this, index])
        start = node.args.get("offset") or 0
        macro = "safe_at" if node.args.get("safe") else "at"
        return self.macro(macro, [node.this, index], f"CAST({start} AS BIGINT)", rule=rules.indexed)

    @abstractmethod
    def query(self, node: exp.Expression) -> str:
        """DuckDB's SQL of a query."""


def _is_struct(node: exp.Expression) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() == "STRUCT"
