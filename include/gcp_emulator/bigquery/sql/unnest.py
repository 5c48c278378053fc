"""UNNEST in FROM: arrays as rows, with their structs' fields."""

from sqlglot import exp

from gcp_emulator.bigquery.errors import unsupported
from gcp_emulator.bigquery.sql.expressions import Expressions
from gcp_emulator.bigquery.sql.scope import Scope
from gcp_emulator.bigquery.types import quoted

SCALAR_CALLS = frozenset(
    [
        "GENERATE_ARRAY",
        "GENERATE_DATE_ARRAY",
        "SPLIT",
        "REGEXP_EXTRACT_ALL",
        "JSON_VALUE_ARRAY",
        "JSON_QUERY_ARRAY",
        "JSON_EXTRACT_ARRAY",
        "JSON_EXTRACT_STRING_ARRAY",
        "TO_CODE_POINTS",
    ]
)


class Unnested(Expressions):
    """Compiles UNNEST, noting in the scope what it gives."""

    def unnested(self, node: exp.Unnest, scope: Scope) -> str:
        if len(node.expressions) != 1:
            raise unsupported("UNNEST of several arrays")
        array = node.expressions[0]
        text = self.expr(array)
        title = unnest_title(node)
        fields = self.array_fields(array)
        offset = node.args.get("offset")
        ordinal = offset.name if isinstance(offset, exp.Identifier) else "offset" if offset else ""
        own = title or f"unnest_{len(scope.tables)}"
        if not title and fields is None:
            raise unsupported("UNNEST without an alias of an array whose type is not plain")
        scope.tables[own.lower()] = {
            own.lower(): "RECORD" if fields else "",
            **({ordinal.lower(): "INTEGER"} if ordinal else {}),
        }
        if not title and fields:  # its fields are columns
            listed = ", ".join(f"u.{quoted(each)} AS {quoted(each)}" for each in fields)
            scope.tables[own.lower()] = {each.lower(): "" for each in fields}
            inner = f"SELECT u AS {quoted('__u')}, {listed}"
            more = f", i - 1 AS {quoted(ordinal)}" if ordinal else ""
            return f"({inner}{more} FROM unnest({text}) WITH ORDINALITY AS t(u, i)) AS {quoted(own)}"
        if ordinal:
            listed = f"u AS {quoted(own)}, i - 1 AS {quoted(ordinal)}"
            return f"(SELECT {listed} FROM unnest({text}) WITH ORDINALITY AS t(u, i)) AS {quoted(own)}"
        return f"(SELECT u AS {quoted(own)} FROM unnest({text}) AS t(u)) AS {quoted(own)}"

    def array_fields(self, array: exp.Expression) -> list[str] | None:
        """The fields of an array's structs, [] for an array of plain values, None if that cannot be told."""
        if isinstance(array, exp.Paren):
            return self.array_fields(array.this)
        if isinstance(array, exp.Array) and array.expressions:
            first = array.expressions[0]
            if isinstance(first, exp.Anonymous) and first.name.upper() == "STRUCT":
                return [self.title(item) or f"_field_{at}" for at, item in enumerate(first.expressions, 1)]
            return (
                [] if isinstance(first, exp.Literal | exp.Cast | exp.Neg | exp.Null | exp.Boolean) else None
            )
        if isinstance(array, exp.Cast) and array.args["to"].this == exp.DataType.Type.ARRAY:
            kind = array.args["to"].expressions[0]
            if kind.this == exp.DataType.Type.STRUCT:
                return [each.name for each in kind.expressions if isinstance(each, exp.ColumnDef)]
            return []
        if isinstance(array, exp.Anonymous) and array.name.upper() in SCALAR_CALLS:
            return []
        if isinstance(array, exp.Parameter):
            return []
        if isinstance(array, exp.Column):
            return self._column_fields(array)
        return None

    def _column_fields(self, node: exp.Column) -> list[str] | None:
        wanted = [part.name.lower() for part in node.parts]
        for scope in reversed(self.context.scopes):
            for alias, columns in scope.tables.items():
                path = wanted[1:] if wanted[0] == alias and len(wanted) > 1 else wanted
                kind = columns.get(".".join(path))
                if kind:
                    return kind.removeprefix("RECORD:").split(",") if kind.startswith("RECORD:") else []
        return None


def unnest_title(node: exp.Expression) -> str:
    alias = node.args.get("alias")
    columns = alias.args.get("columns") if alias else None
    return str(columns[0].name if columns else alias.name if alias else "")
