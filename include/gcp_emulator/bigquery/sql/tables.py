"""FROM: tables, views, UNNEST, joins, PIVOT, and the stars of a SELECT list."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, not_found, unsupported
from gcp_emulator.bigquery.sql import dialect, information, rules
from gcp_emulator.bigquery.sql.names import Names, TableName
from gcp_emulator.bigquery.sql.scope import Context, Scope
from gcp_emulator.bigquery.sql.unnest import Unnested, unnest_title
from gcp_emulator.bigquery.types import literal, quoted

ALLOWED = frozenset(["this", "db", "catalog", "alias", "joins", "pivots", "ordinality", "expressions"])


def parts_of(node: exp.Table) -> list[str]:
    """A table's path; one in a single pair of backticks is taken apart."""
    found = [part.name for part in node.parts if isinstance(part, exp.Identifier)]
    made = [piece for part in found for piece in (part.split(".") if "." in part else [part])]
    if made and ":" in made[0]:  # legacy project:dataset
        made[0:1] = made[0].rsplit(":", 1)
    return made


def resolved(path: list[str], names: Names) -> TableName:
    """A table by its path and the defaults; Refusal as Google words a name without a dataset."""
    if len(path) >= 3:
        return TableName(path[-3], path[-2], path[-1])
    if len(path) == 2:
        return TableName(names.project, path[0], path[1])
    if names.default_dataset is None:
        raise invalid_query(f'Table "{path[0]}" must be qualified with a dataset (e.g. dataset.table).')
    return TableName(*names.default_dataset, path[0])


class Tables(Unnested):
    """Compiles FROM into DuckDB's, noting in the scope what can be seen."""

    def sources(self, node: exp.Select, scope: Scope) -> str:
        source = node.args.get("from_")
        if where := node.args.get("where"):
            scope.filtered = {column.name.lower() for column in where.find_all(exp.Column)}
        if source is None:
            return ""
        made = self.source(source.this, scope)
        scope.joined.append(source.this.alias_or_name)
        for join in [*(source.this.args.get("joins") or ()), *(node.args.get("joins") or ())]:
            made += self._join(join, scope)
        if scope.open and self.context.names.session.variables:  # which columns go before
            given = self.given(f"SELECT * FROM {made}")
            scope.tables.setdefault("*", {}).update({name.lower(): "" for name in given})
        return f" FROM {made}"

    def _join(self, join: exp.Join, scope: Scope) -> str:
        side, kind = str(join.side or "").upper(), str(join.kind or "").upper()
        if (
            join.method
            or kind not in ("", "INNER", "CROSS", "OUTER")
            or side not in ("", "LEFT", "RIGHT", "FULL")
        ):
            raise unsupported(f"{join.method} {side} {kind} JOIN".strip())
        right = self.source(join.this, scope)
        lateral = "LATERAL " if right.startswith("(SELECT u AS ") else ""
        for inner in join.this.args.get("joins") or ():
            right += self._join(inner, scope)
        if on := join.args.get("on"):
            (test,) = self.checked(rules.condition("ON"), [on])
            return f" {side or 'INNER'} JOIN {lateral}{right} ON {test}"
        if using := join.args.get("using"):
            columns = ", ".join(quoted(each.name) for each in using)
            self._alike(using, join, scope)
            return f" {side or 'INNER'} JOIN {lateral}{right} USING ({columns})"
        if side == "LEFT" and isinstance(join.this, exp.Unnest):
            return f" LEFT JOIN {lateral}{right} ON true"
        if side:
            raise invalid_query(f"Expected keyword ON or keyword USING for {side} JOIN")
        return f" CROSS JOIN {lateral}{right}"

    @abstractmethod
    def given(self, text: str) -> list[str]:
        """The columns of a query, as far as DuckDB's binder knows it."""

    def _alike(self, using: list[exp.Expression], join: exp.Join, scope: Scope) -> None:
        """USING's columns have one type on both sides."""
        right = join.this.alias_or_name
        for left in scope.joined:
            for each in using:
                pair = [quoted(alias, each.name) for alias in (left, right)]
                self.check(rules.joined_by, [exp.Var(this=""), exp.Var(this="")], pair)
        scope.joined.append(right)

    def source(self, node: exp.Expression, scope: Scope) -> str:
        if isinstance(node, exp.Table):
            return self._table(node, scope)
        if isinstance(node, exp.Unnest):
            return self.unnested(node, scope)
        if isinstance(node, exp.Subquery):
            text = f"({self.query(node.this)})"
            scope.open = True
            return self._pivoted(text, node)
        if isinstance(node, exp.Paren):
            return f"({self.source(node.this, scope)})"
        raise unsupported(f"FROM {node.sql('bigquery')[:60]}")

    def _table(self, node: exp.Table, scope: Scope) -> str:
        for clause, value in node.args.items():
            if value and clause not in ALLOWED:
                named = {
                    "version": "FOR SYSTEM_TIME AS OF",
                    "when": "FOR SYSTEM_TIME AS OF",
                    "sample": "TABLESAMPLE",
                }
                raise unsupported(named.get(clause, f"the table clause {clause}"))
        if not isinstance(node.this, exp.Identifier):
            raise unsupported(f"the table function {node.this.sql('bigquery')[:60]}")
        path = parts_of(node)
        alias = node.alias or path[-1]
        if len(path) == 1 and self.context.cte(path[0]):
            scope.open = True
            return self._pivoted(quoted(path[0]), node, alias)
        if len(path) > 1 and path[0].lower() in scope.tables:  # FROM t, t.array_column
            column = exp.Column(this=exp.to_identifier(path[-1]), table=exp.to_identifier(path[0]))
            alias_node = exp.TableAlias(columns=[exp.to_identifier(alias)])
            return self.unnested(exp.Unnest(expressions=[column], alias=alias_node), scope)
        text = self.named_table(path, alias, scope)
        return self._pivoted(text, node, alias)

    def named_table(self, path: list[str], alias: str, scope: Scope) -> str:
        """A stored table, a view's query, a temporary table or one of INFORMATION_SCHEMA's."""
        names = self.context.names
        session = names.session
        temporary = path[-1].lower() if len(path) == 1 or path[0].upper() == "_SESSION" else None
        if temporary in session.temporary:
            scope.tables[alias.lower()] = field_types(session.temporary[temporary])
            return quoted("temp", "main", path[-1])
        if information.wanted(path):
            scope.open = True
            return information.relation(path, names)
        name = resolved(path, names)
        if name.table.endswith("*"):
            return self._wildcard(name, scope, alias)
        found = names.catalog.need_table(*name)
        _needs_filter(name, found, scope)
        if name not in self.context.references:
            self.context.references.append(name)
        scope.tables[alias.lower()] = field_types(found.get("schema", {}).get("fields", ()))
        if view := found.get("view") or found.get("materializedView"):
            return self._view(name, str(view["query"]))
        return name.duckdb

    def _view(self, name: TableName, text: str) -> str:
        if name in self.context.views:
            raise invalid_query(f"View {name.told} refers to itself")
        inner = replace(self.context.names, project=name.project, default_dataset=None, parameters=())
        context = Context(inner, self.context.references, views=(*self.context.views, name))
        compiler = type(self).__new__(type(self))
        compiler.context = context
        return f"({compiler.query(dialect.parsed(text))})"

    def _wildcard(self, name: TableName, scope: Scope, alias: str) -> str:
        prefix = name.table[:-1]
        found = [
            each
            for each in self.context.names.catalog.tables(name.project, name.dataset)
            if each["tableReference"]["tableId"].startswith(prefix) and "view" not in each
        ]
        if not found:
            raise not_found("Table", name.told, self.context.names.catalog.location)
        made = []
        for each in found:
            table = TableName(name.project, name.dataset, each["tableReference"]["tableId"])
            self.context.references.append(table)
            suffix = literal(table.table.removeprefix(prefix))
            made.append(f"SELECT *, {suffix} AS _TABLE_SUFFIX FROM {table.duckdb}")
        scope.open = True
        scope.lateral.append(alias)
        return f"({' UNION ALL BY NAME '.join(made)})"

    # PIVOT

    def _pivoted(self, text: str, node: exp.Expression, alias: str = "") -> str:
        alias = node.alias or alias
        named = f" AS {quoted(alias)}" if alias else ""
        for pivot in node.args.get("pivots") or ():
            if pivot.args.get("unpivot") or len(pivot.args.get("fields") or ()) != 1:
                raise unsupported("UNPIVOT")
            title = pivot.alias or alias
            text = f"({self._pivot(text, pivot)})"
            named = f" AS {quoted(title)}" if title else ""
        return f"{text}{named}"

    def _pivot(self, text: str, pivot: exp.Pivot) -> str:
        """One conditional aggregate for each value, grouped by all other columns."""
        listed = pivot.args["fields"][0]
        column, used, made = listed.this, {listed.this.name}, []
        for call in pivot.expressions:
            prefix, call = (call.alias, call.this) if isinstance(call, exp.Alias) else ("", call)
            used |= {each.name for each in call.find_all(exp.Column)}
            for item in listed.expressions:
                value = item.this if isinstance(item, exp.Alias | exp.PivotAlias) else item
                title = (
                    item.args["alias"].name if isinstance(item, exp.Alias | exp.PivotAlias) else value.name
                )
                if value is item and not (isinstance(value, exp.Literal) and value.is_string):
                    raise unsupported("PIVOT on values that are no strings and have no alias")
                hit = exp.EQ(this=column.copy(), expression=value.copy())
                title = f"{prefix}_{title}" if prefix else title
                made.append(f"{self.expr(_conditional(call, hit))} AS {quoted(title)}")
        without = ", ".join(quoted(each) for each in sorted(used))
        return f"SELECT * EXCLUDE ({without}), {', '.join(made)} FROM {text} GROUP BY ALL"

    # Stars

    def star(self, item: exp.Expression, scope: Scope, select: exp.Select) -> str:
        """A star of the SELECT list, "" for another item."""
        inner, table = item, ""
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            inner, table = item.this, f"{quoted(*(part.name for part in item.parts[:-1]))}."
        elif isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
            return f"unnest({self.expr(item.this)})"
        if not isinstance(inner, exp.Star):
            return ""
        without = [each.name for each in inner.args.get("except_") or inner.args.get("except") or ()]
        without += ["_TABLE_SUFFIX"] if scope.lateral else []
        replaced = [
            f"{self.expr(each.this)} AS {quoted(each.alias)}" for each in inner.args.get("replace") or ()
        ]
        if any(each.find_ancestor(exp.Select) is select for each in select.find_all(exp.Unnest)):
            return self._unnested_star(table, without, replaced, select)
        return _star(table, without, replaced)

    def _unnested_star(self, table: str, without: list[str], replaced: list[str], select: exp.Select) -> str:
        """BigQuery's star gives the fields of structs that are unnested."""
        more: list[str] = []
        for node in [each.this for each in select.args.get("joins") or ()] + [select.args["from_"].this]:
            fields = self.array_fields(node.expressions[0]) if isinstance(node, exp.Unnest) else []
            alias = unnest_title(node)
            if fields is None:
                raise unsupported("SELECT * over UNNEST of an array whose type is not plain")
            if fields and not alias:
                without = [*without, "__u"]
            elif fields and table in ("", f"{quoted(alias)}."):
                more += [f"{quoted(alias)}.{quoted(each)}" for each in fields if each not in without]
                without = [*(each for each in without if each not in fields), alias]
        if more and (replaced or len(select.args.get("joins") or ()) > 1):
            raise unsupported("SELECT * over more than one join with unnested STRUCTs")
        if more and table:
            return ", ".join(more)
        return ", ".join([_star(table, without, replaced), *more])


def _needs_filter(name: TableName, table: dict[str, Any], scope: Scope) -> None:
    by = table.get("timePartitioning") or table.get("rangePartitioning") or {}
    column = str(by.get("field") or "_PARTITIONTIME")
    needed = table.get("requirePartitionFilter") or by.get("requirePartitionFilter")
    if needed and column.lower() not in scope.filtered:
        raise invalid_query(
            f"Cannot query over table '{name.project}.{name.dataset}.{name.table}' without a filter over column(s) "
            f"'{column}' that can be used for partition elimination"
        )


def _star(table: str, without: list[str], replaced: list[str]) -> str:
    made = f"{table}*" + (f" EXCLUDE ({', '.join(map(quoted, without))})" if without else "")
    return made + (f" REPLACE ({', '.join(replaced)})" if replaced else "")


def field_types(fields: Any) -> dict[str, str]:
    """Column -> type, with the fields of repeated records told as RECORD:a,b and those of records by their path."""
    made: dict[str, str] = {}
    for field in fields:
        kind, children = str(field["type"]), field.get("fields") or ()
        name = field["name"].lower()
        made[name] = kind
        repeated = field.get("mode") == "REPEATED"
        if repeated and not children:
            made[name] = "REPEATED"
        if children and repeated:
            made[name] = f"RECORD:{','.join(child['name'] for child in children)}"
        elif children:
            made |= {f"{name}.{path}": of for path, of in field_types(children).items()}
    return made


def _conditional(call: exp.Expression, hit: exp.Expression) -> exp.Expression:
    if not isinstance(call, exp.Anonymous):
        raise unsupported(f"PIVOT with {call.sql('bigquery')}")
    made = call.copy()
    if made.expressions and isinstance(made.expressions[0], exp.Star):
        return exp.Anonymous(this="COUNTIF", expressions=[hit])
    value = made.expressions[0]
    made.set("expressions", [exp.If(this=hit, true=value, false=exp.Null()), *made.expressions[1:]])
    return made
