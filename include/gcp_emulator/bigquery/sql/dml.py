"""INSERT, UPDATE, DELETE, MERGE, TRUNCATE."""

from collections.abc import Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.sql.names import TableName, Translation
from gcp_emulator.bigquery.sql.queries import Compiler
from gcp_emulator.bigquery.sql.scope import Scope
from gcp_emulator.bigquery.sql.tables import parts_of, resolved
from gcp_emulator.bigquery.types import literal, quoted

DOUBLE_MATCH = "UPDATE/MERGE must match at most one source row for each target row"


class Changes:
    """Translates one DML statement."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.names = compiler.context.names

    def _target(self, node: exp.Expression) -> tuple[TableName | None, str, list[str]]:
        """The table (None for a temporary one), DuckDB's name of it, its columns."""
        table = node.this if isinstance(node, exp.Schema) else node
        if not isinstance(table, exp.Table):
            raise invalid_query(f"Invalid target: {table.sql('bigquery')}")
        path = parts_of(table)
        session = self.names.session
        if (len(path) == 1 or path[0].upper() == "_SESSION") and path[-1].lower() in session.temporary:
            fields = session.temporary[path[-1].lower()]
            return None, quoted("temp", "main", path[-1]), [field["name"] for field in fields]
        name = resolved(path, self.names)
        found = self.names.catalog.need_table(*name)
        if "view" in found or "materializedView" in found:
            raise invalid_query(
                f"{name.told} is not allowed for this operation because it is currently a VIEW."
            )
        return name, name.duckdb, [field["name"] for field in found.get("schema", {}).get("fields", ())]

    def _scope(self, table: exp.Expression, columns: Sequence[str]) -> Scope:
        name = (table.alias or parts_of(table)[-1]).lower()  # type: ignore[arg-type]
        return Scope(tables={name: {column.lower(): "" for column in columns}})

    def _named(self, table: exp.Expression, duckdb: str) -> str:
        alias = table.alias or parts_of(table)[-1]  # type: ignore[arg-type]
        return f"{duckdb} AS {quoted(alias)}"

    def insert(self, node: exp.Insert) -> Translation:
        target, duckdb, columns = self._target(node.this)
        given = (
            [each.name for each in node.this.expressions] if isinstance(node.this, exp.Schema) else columns
        )
        for each in given:
            if each.lower() not in (column.lower() for column in columns):
                raise invalid_query(
                    f"Column {each} is not present in table {target.told if target else duckdb}"
                )
        listed = f" ({', '.join(map(quoted, given))})"
        source = node.expression
        if isinstance(source, exp.Values):
            rows = [self._row(each) for each in source.expressions]
            for row, each in zip(rows, source.expressions, strict=True):
                if len(each.expressions if isinstance(each, exp.Tuple) else [each]) != len(given):
                    raise invalid_query(
                        f"Inserted row has wrong column count; Has {row.count(',') + 1}, expected {len(given)}"
                    )
            body = f"VALUES {', '.join(rows)}"
        elif source is not None:
            body = self.compiler.query(source)
        else:
            raise unsupported("INSERT without VALUES or a query")
        return self._made("INSERT", [f"INSERT INTO {duckdb}{listed} {body}"], target)

    def _row(self, node: exp.Expression) -> str:
        items = (
            node.expressions
            if isinstance(node, exp.Tuple)
            else [node.this if isinstance(node, exp.Paren) else node]
        )
        return f"({', '.join(self._value(item) for item in items)})"

    def _value(self, node: exp.Expression) -> str:
        default = isinstance(node, exp.Var | exp.Column) and node.name.upper() == "DEFAULT"
        return "DEFAULT" if default else self.compiler.expr(node)

    def update(self, node: exp.Update) -> Translation:
        target, duckdb, columns = self._target(node.this)
        where = node.args.get("where")
        if where is None:
            raise invalid_query("UPDATE must have a WHERE clause at [1:1]")
        scope = self._scope(node.this, columns)
        self.compiler.context.scopes.append(scope)
        try:
            source = node.args.get("from_")
            select = exp.Select(from_=source, joins=source.this.args.get("joins")) if source else None
            tables = self.compiler.sources(select, scope) if select else ""
            condition = self.compiler.expr(where.this)
            sets = self._sets(node.expressions, node.this)
        finally:
            self.compiler.context.scopes.pop()
        steps = []
        if source:
            alias = quoted(node.this.alias or parts_of(node.this)[-1])
            counted = (
                f"SELECT count(*) AS n FROM {self._named(node.this, duckdb)}, {tables.removeprefix(' FROM ')} "
                f"WHERE {condition} GROUP BY {alias}.rowid"
            )
            steps.append(
                f"SELECT CASE WHEN max(n) > 1 THEN {SCHEMA}.fail({literal(DOUBLE_MATCH)}) END FROM ({counted})"
            )
        steps.append(f"UPDATE {self._named(node.this, duckdb)} SET {sets}{tables} WHERE {condition}")
        return self._made("UPDATE", steps, target)

    def _sets(self, items: Sequence[exp.Expression], table: exp.Expression) -> str:
        made = []
        for item in items:
            left, value = item.this, item.expression
            if isinstance(left, exp.Tuple | exp.Paren):
                made += self._unpacked(left, value)
                continue
            made.append(f"{quoted(self._column(left, table))} = {self._value(value)}")
        return ", ".join(made)

    def _column(self, node: exp.Expression, table: exp.Expression | None) -> str:
        path = [part.name for part in node.parts]  # type: ignore[attr-defined]
        own = (table.alias or parts_of(table)[-1]).lower() if table is not None else ""  # type: ignore[arg-type]
        if len(path) > 2 or (len(path) == 2 and path[0].lower() != own):
            raise unsupported(f"SET of the nested field {'.'.join(path)}")
        return str(path[-1])

    def _unpacked(self, left: exp.Expression, value: exp.Expression) -> list[str]:
        """SET (a, b) = (SELECT AS STRUCT x, y ..): a subquery a column."""
        columns = left.expressions if isinstance(left, exp.Tuple) else [left.this]
        select = value.this if isinstance(value, exp.Subquery) else value
        if not isinstance(select, exp.Select) or len(select.expressions) != len(columns):
            raise unsupported("SET (..) = anything but a SELECT AS STRUCT of as many expressions")
        made = []
        for column, item in zip(columns, select.expressions, strict=True):
            one = select.copy()
            one.set("kind", None)
            one.set("expressions", [item.copy()])
            made.append(f"{quoted(column.name)} = {self.compiler.subquery(one)}")
        return made

    def delete(self, node: exp.Delete) -> Translation:
        table = node.this if isinstance(node.this, exp.Table) else (node.args.get("tables") or [None])[0]
        if table is None:
            raise invalid_query("Syntax error: DELETE without a table")
        target, duckdb, columns = self._target(table)
        where = node.args.get("where")
        if where is None:
            raise invalid_query("DELETE must have a WHERE clause at [1:1]")
        self.compiler.context.scopes.append(self._scope(table, columns))
        try:
            condition = self.compiler.expr(where.this)
        finally:
            self.compiler.context.scopes.pop()
        return self._made("DELETE", [f"DELETE FROM {self._named(table, duckdb)} WHERE {condition}"], target)

    def truncate(self, node: exp.TruncateTable) -> Translation:
        target, duckdb, _ = self._target(node.expressions[0])
        return self._made("TRUNCATE_TABLE", [f"DELETE FROM {duckdb}"], target)

    def merge(self, node: exp.Merge) -> Translation:
        target, duckdb, columns = self._target(node.this)
        scope = self._scope(node.this, columns)
        self.compiler.context.scopes.append(scope)
        try:
            source = self.compiler.source(node.args["using"], scope)
            condition = self.compiler.expr(node.args["on"])
            whens = [self._when(each, node, columns) for each in node.args["whens"].expressions]
        finally:
            self.compiler.context.scopes.pop()
        text = (
            f"MERGE INTO {self._named(node.this, duckdb)} USING {source} ON {condition} "
            f"{' '.join(whens)} RETURNING merge_action"
        )
        return self._made("MERGE", [text], target, dml="merge")

    def _when(self, when: exp.When, node: exp.Merge, columns: Sequence[str]) -> str:
        matched = "MATCHED" if when.args.get("matched") else "NOT MATCHED"
        side = " BY SOURCE" if when.args.get("source") else ""
        extra = when.args.get("condition")
        both = f" AND {self.compiler.expr(extra)}" if extra else ""
        then = when.args["then"]
        if isinstance(then, exp.Update):
            action = f"UPDATE SET {self._sets(then.expressions, node.this)}"
        elif isinstance(then, exp.Insert):
            action = self._inserted(then, node, columns)
        elif isinstance(then, exp.Var) and then.name.upper() == "DELETE":
            action = "DELETE"
        else:
            raise unsupported(f"MERGE with {then.sql('bigquery')}")
        return f"WHEN {matched}{side}{both} THEN {action}"

    def _inserted(self, then: exp.Insert, node: exp.Merge, columns: Sequence[str]) -> str:
        given, values = then.this, then.expression
        row = (isinstance(given, exp.Star) or given is None) and values is None
        if row or (isinstance(given, exp.Var | exp.Column | exp.Identifier) and given.name.upper() == "ROW"):
            alias = node.args["using"].alias_or_name
            made = ", ".join(quoted(alias, column) for column in columns)
            return f"INSERT ({', '.join(map(quoted, columns))}) VALUES ({made})"
        names = [each.name for each in given.expressions] if isinstance(given, exp.Tuple) else columns
        if isinstance(given, exp.Paren):
            names = [given.this.name]
        return f"INSERT ({', '.join(map(quoted, names))}) VALUES {self._row(values)}"

    def _made(self, kind: str, steps: list[str], target: TableName | None, dml: str = "") -> Translation:
        return Translation(kind, tuple(steps), target=target, dml=dml, temporary=target is None)
