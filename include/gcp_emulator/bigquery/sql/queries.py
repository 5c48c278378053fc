"""Queries: SELECT with all its clauses, set operations, CTEs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlglot import exp

from gcp_emulator.bigquery.errors import unsupported
from gcp_emulator.bigquery.sql.scope import Context, Scope
from gcp_emulator.bigquery.sql.tables import Tables
from gcp_emulator.bigquery.types import quoted

CLAUSES = frozenset(
    [
        "expressions",
        "kind",
        "distinct",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "windows",
        "order",
        "limit",
        "offset",
        "with_",
    ]
)
SETS = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


class Compiler(Tables):
    """GoogleSQL's trees to DuckDB's SQL, in one context."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def query(self, node: exp.Expression) -> str:
        """A query's SQL, without parentheses."""
        with self._ctes(node) as prefix:
            if isinstance(node, exp.Subquery):
                return f"{prefix}({self.query(node.this)}){self._tail(node)}"
            if isinstance(node, exp.SetOperation):
                return prefix + self._set(node)
            if isinstance(node, exp.Select):
                return prefix + self._selected(node)
        raise unsupported(f"the query {node.sql('bigquery')[:60]}")

    @contextmanager
    def _ctes(self, node: exp.Expression) -> Iterator[str]:
        clause = node.args.get("with_")
        known: dict[str, list[str] | None] = {}
        self.context.ctes.append(known)
        try:
            made = []
            recursive = bool(clause and clause.args.get("recursive"))
            for cte in clause.expressions if clause else ():
                if recursive:
                    known[cte.alias.lower()] = None
                text = self.query(cte.this)
                known[cte.alias.lower()] = titles(cte.this)
                made.append(f"{quoted(cte.alias)} AS ({text})")
            word = "WITH RECURSIVE" if recursive else "WITH"
            yield f"{word} {', '.join(made)} " if made else ""
        finally:
            self.context.ctes.pop()

    def _set(self, node: exp.SetOperation) -> str:
        word = SETS.get(type(node))
        if word is None or node.args.get("by_name") or node.args.get("side"):
            raise unsupported(f"the set operation {node.sql('bigquery')[:60]}")
        if not isinstance(node, exp.Union) and not node.args.get("distinct"):
            raise unsupported(f"{word} ALL")
        how = "" if node.args.get("distinct") else " ALL"
        sides = [self._side_of(side) for side in (node.this, node.expression)]
        return f"{sides[0]} {word}{how} {sides[1]}{self._tail(node)}"

    def _side_of(self, node: exp.Expression) -> str:
        plain = not (node.args.get("order") or node.args.get("limit") or node.args.get("with_"))
        return self.query(node) if plain and not isinstance(node, exp.Subquery) else f"({self.query(node)})"

    def _tail(self, node: exp.Expression) -> str:
        made = ""
        if order := node.args.get("order"):
            made += f" {self.order(order)}"
        for word in ("limit", "offset"):
            if part := node.args.get(word):
                made += f" {word.upper()} {self._count(part.expression)}"
        return made

    def _count(self, node: exp.Expression) -> str:
        return str(node.this) if isinstance(node, exp.Literal) else self.expr(node)

    def order(self, node: exp.Expression) -> str:
        """ORDER BY: NULL is the smallest value."""
        made = []
        for item in node.expressions:
            value = item.this
            text = str(value.this) if isinstance(value, exp.Literal) and value.is_int else self.expr(value)
            falling = bool(item.args.get("desc"))
            first = item.args.get("nulls_first")
            nulls = "FIRST" if (first if first is not None else not falling) else "LAST"
            made.append(f"{text} {'DESC' if falling else 'ASC'} NULLS {nulls}")
        return f"ORDER BY {', '.join(made)}"

    def _selected(self, node: exp.Select) -> str:
        for clause, value in node.args.items():
            if value and clause not in CLAUSES:
                raise unsupported(f"the clause {clause.strip('_').upper().replace('_', ' ')}")
        scope = Scope()
        self.context.scopes.append(scope)
        try:
            source = self.sources(node, scope)
            items = list(self._items(node, scope))
            made = f"SELECT {'DISTINCT ' if self._distinct(node) else ''}{', '.join(items)}{source}"
            made += self._where(node)
            scope.hidden.clear()
            made += self._group(node, scope) + self._having(node, scope)
            made += self._tail(node)
        finally:
            self.context.scopes.pop()
        kind = str(node.args.get("kind") or "").upper()
        return f"SELECT s FROM ({made}) AS s" if kind == "STRUCT" else made

    def _distinct(self, node: exp.Select) -> bool:
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise unsupported("DISTINCT ON")
        return distinct is not None

    def _items(self, node: exp.Select, scope: Scope) -> Iterator[str]:
        """The SELECT list; a column without a name is f0_, f1_, ... as in BigQuery's answers."""
        nameless, named = 0, {}
        for item in node.expressions:
            if star := self.star(item, scope, node):
                yield star
                continue
            inner = item.this if isinstance(item, exp.Alias) else item
            title = self.title(item)
            if not title:
                title, nameless = f"f{nameless}_", nameless + 1
            text = self.expr(inner)
            if isinstance(item, exp.Alias):
                named[title.lower()] = text
                scope.hidden.add(title.lower())
            yield f"{text} AS {quoted(title)}"
        self._named = named

    def _where(self, node: exp.Select) -> str:
        where = node.args.get("where")
        return f" WHERE {self.expr(where.this)}" if where else ""

    def _group(self, node: exp.Select, scope: Scope) -> str:
        group = node.args.get("group")
        if group is None:
            return ""
        if group.args.get("all"):
            return " GROUP BY ALL"
        made = [self._key(each, node) for each in group.expressions]
        for word in ("rollup", "cube"):
            for part in group.args.get(word) or ():
                made.append(
                    f"{word.upper()} ({', '.join(self._key(each, node) for each in part.expressions)})"
                )
        for part in group.args.get("grouping_sets") or ():
            sets = ", ".join(self._key(each, node) for each in part.expressions)
            made.append(f"GROUPING SETS ({sets})")
        return f" GROUP BY {', '.join(made)}"

    def _key(self, node: exp.Expression, select: exp.Select) -> str:
        """An alias of the SELECT list goes before a column of its name."""
        if isinstance(node, exp.Literal) and node.is_int:
            return str(node.this)
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name.lower() in self._named:
            return self._named[node.name.lower()]
        return self.expr(node)

    def _having(self, node: exp.Select, scope: Scope) -> str:
        made = ""
        for clause in ("having", "qualify"):
            if part := node.args.get(clause):
                scope.aliases = dict(self._named)
                try:
                    made += f" {clause.upper()} {self.expr(part.this)}"
                finally:
                    scope.aliases = {}
            if clause == "having" and (windows := node.args.get("windows")):
                made += (
                    f" WINDOW {', '.join(f'{quoted(each.name)} AS {self.over(each)}' for each in windows)}"
                )
        return made

    def over(self, node: exp.Expression) -> str:
        if node.args.get("over") is None and isinstance(node.this, exp.Identifier):  # WINDOW w AS (..)
            bare = exp.Window(**{key: value for key, value in node.args.items() if key != "this"})
            return super().over(bare)
        return super().over(node)


def titles(node: exp.Expression) -> list[str] | None:
    """The names of a query's columns where they can be told from its text."""
    while isinstance(node, exp.SetOperation | exp.Subquery):
        node = node.this
    if not isinstance(node, exp.Select):
        return None
    made: list[str] = []
    for item in node.expressions:
        if item.is_star or isinstance(item, exp.Star):
            return None
        made.append(item.alias_or_name)
    return made
