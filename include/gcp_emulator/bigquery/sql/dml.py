"""INSERT, UPDATE, DELETE, MERGE, TRUNCATE."""

from collections.abc import Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import binding, rules
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.sql.names import TableName, Translation
from gcp_emulator.bigquery.sql.queries import Compiler
from gcp_emulator.bigquery.sql.scope import Scope
from gcp_emulator.bigquery.sql.tables import field_types, parts_of, resolved
from gcp_emulator.bigquery.types import Field, literal, quoted

DOUBLE_MATCH = "UPDATE/MERGE must match at most one source row for each target row"


class Changes:
    """Translates one DML statement."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.names = compiler.context.names

    def _target(self, node: exp.Expression) -> tuple[TableName | None, str, list[Field]]:
        """The table (None for a temporary one), DuckDB's name of it, its columns."""
        table = node.this if isinstance(node, exp.Schema) else node
        if not isinstance(table, exp.Table):
            raise invalid_query(f"Invalid target: {table.sql('bigquery')}")
        path = parts_of(table)
        session = self.names.session
        if (len(path) == 1 or path[0].upper() == "_SESSION") and path[-1].lower() in session.temporary:
            fields = session.temporary[path[-1].lower()]
            return None, quoted("temp", "main", path[-1]), list(fields)
        name = resolved(path, self.names)
        found = self.names.catalog.need_table(*name)
        if "view" in found or "materializedView" in found:
            raise invalid_query(
                f"{name.told} is not allowed for this operation because it is currently a VIEW."
            )
        return name, name.duckdb, list(found.get("schema", {}).get("fields", ()))

    def _scope(self, table: exp.Expression, columns: Sequence[Field]) -> Scope:
        name = (table.alias or parts_of(table)[-1]).lower()  # type: ignore[arg-type]
        return Scope(tables={name: field_types(columns)})

    def _named(self, table: exp.Expression, duckdb: str) -> str:
        alias = table.alias or parts_of(table)[-1]  # type: ignore[arg-type]
        return f"{duckdb} AS {quoted(alias)}"

    def insert(self, node: exp.Insert) -> Translation:
        target, duckdb, columns = self._target(node.this)
        known = {column["name"].lower(): column for column in columns}
        named = isinstance(node.this, exp.Schema)
        given = [each.name for each in node.this.expressions] if named else [each["name"] for each in columns]
        for each in given:
            if each.lower() not in known:
                raise invalid_query(
                    f"Column {each} is not present in table {target.told if target else duckdb}"
                )
        wanted = [known[each.lower()] for each in given]
        source = node.expression
        if isinstance(source, exp.Values):
            body = f"VALUES {', '.join(self._checked(each, wanted) for each in source.expressions)}"
        elif source is not None:
            body = self.compiler.query(source)
            found = binding.columns(self.names.session.cursor, body)
            items = source.expressions if isinstance(source, exp.Select) else []
            same = len(items) == len(found)
            binding.check(found, wanted, [same and binding.constant(items[at]) for at in range(len(found))])
        else:
            raise unsupported("INSERT without VALUES or a query")
        listed = f" ({', '.join(map(quoted, given))})"
        return self._made("INSERT", [f"INSERT INTO {duckdb}{listed} {body}"], target)

    def _checked(self, row: exp.Expression, wanted: Sequence[Field]) -> str:
        """One row of VALUES, its types as BigQuery takes them."""
        nodes = _items(row)
        texts = [self._value(each) for each in nodes]
        if len(nodes) != len(wanted):
            raise invalid_query(
                f"Inserted row has wrong column count; Has {len(nodes)}, expected {len(wanted)}"
            )
        self._fit(nodes, texts, wanted, "")
        return f"({', '.join(texts)})"

    def _fit(
        self, nodes: Sequence[exp.Expression], texts: Sequence[str], wanted: Sequence[Field], source: str
    ) -> None:
        kept = [at for at, text in enumerate(texts) if text != "DEFAULT"]
        if kept:
            query = f"SELECT {', '.join(texts[at] for at in kept)}{f' FROM {source}' if source else ''}"
            found = binding.columns(self.names.session.cursor, query)
            binding.check(found, [wanted[at] for at in kept], [binding.constant(nodes[at]) for at in kept])

    def _condition(self, where: exp.Expression) -> str:
        return self.compiler.checked(rules.condition("WHERE"), [where.this])[0]

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
            condition = self._condition(where)
            beside = f", {tables.removeprefix(' FROM ')}" if tables else ""
            around = self._named(node.this, duckdb) + beside
            sets = self._sets(node.expressions, node.this, columns, around)
            self.compiler.settle(scope, f" FROM {around}")
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

    def _sets(
        self, items: Sequence[exp.Expression], table: exp.Expression, columns: Sequence[Field], source: str
    ) -> str:
        """SET's assignments; `source` is what their values are read from."""
        made = []
        known = {column["name"].lower(): column for column in columns}
        for item in items:
            left, value = item.this, item.expression
            if isinstance(left, exp.Tuple | exp.Paren):
                made += self._unpacked(left, value)
                continue
            name, text = self._column(left, table), self._value(value)
            if name.lower() not in known:
                raise invalid_query(f"Unrecognized name: {name}")
            self._fit([value], [text], [known[name.lower()]], source)
            made.append(f"{quoted(name)} = {text}")
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
        scope = self._scope(table, columns)
        self.compiler.context.scopes.append(scope)
        try:
            condition = self._condition(where)
            self.compiler.settle(scope, f" FROM {self._named(table, duckdb)}")
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
            both = f"{self._named(node.this, duckdb)}, {source}"
            whens = [self._when(each, node, columns, both) for each in node.args["whens"].expressions]
            self.compiler.settle(scope, f" FROM {both}")
        finally:
            self.compiler.context.scopes.pop()
        text = (
            f"MERGE INTO {self._named(node.this, duckdb)} USING {source} ON {condition} "
            f"{' '.join(whens)} RETURNING merge_action"
        )
        return self._made("MERGE", [text], target, dml="merge")

    def _when(self, when: exp.When, node: exp.Merge, columns: Sequence[Field], tables: str) -> str:
        matched = "MATCHED" if when.args.get("matched") else "NOT MATCHED"
        side = " BY SOURCE" if when.args.get("source") else ""
        extra = when.args.get("condition")
        both = f" AND {self.compiler.expr(extra)}" if extra else ""
        then = when.args["then"]
        if isinstance(then, exp.Update):
            action = f"UPDATE SET {self._sets(then.expressions, node.this, columns, tables)}"
        elif isinstance(then, exp.Insert):
            action = self._inserted(then, node, columns, tables)
        elif isinstance(then, exp.Var) and then.name.upper() == "DELETE":
            action = "DELETE"
        else:
            raise unsupported(f"MERGE with {then.sql('bigquery')}")
        return f"WHEN {matched}{side}{both} THEN {action}"

    def _inserted(self, then: exp.Insert, node: exp.Merge, columns: Sequence[Field], tables: str) -> str:
        given, values = then.this, then.expression
        named = [column["name"] for column in columns]
        row = (isinstance(given, exp.Star) or given is None) and values is None
        if row or (isinstance(given, exp.Var | exp.Column | exp.Identifier) and given.name.upper() == "ROW"):
            alias = node.args["using"].alias_or_name
            made = ", ".join(quoted(alias, name) for name in named)
            return f"INSERT ({', '.join(map(quoted, named))}) VALUES ({made})"
        if isinstance(given, exp.Tuple | exp.Paren):
            named = [each.name for each in _items(given)]
        known = {column["name"].lower(): column for column in columns}
        nodes = _items(values)
        for each in named:
            if each.lower() not in known:
                raise invalid_query(f"Unrecognized name: {each}")
        if len(nodes) != len(named):
            raise invalid_query(
                f"Inserted row has wrong column count; Has {len(nodes)}, expected {len(named)}"
            )
        side = tables.partition(", ")[2]  # an inserted row knows the source alone
        texts = [self._value(each) for each in nodes]
        self._fit(nodes, texts, [known[each.lower()] for each in named], side)
        return f"INSERT ({', '.join(map(quoted, named))}) VALUES ({', '.join(texts)})"

    def _made(self, kind: str, steps: list[str], target: TableName | None, dml: str = "") -> Translation:
        return Translation(kind, tuple(steps), target=target, dml=dml, temporary=target is None)


def _items(node: exp.Expression) -> list[exp.Expression]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this if isinstance(node, exp.Paren) else node]
