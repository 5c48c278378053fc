"""Queries: SELECT with all its clauses, set operations, CTEs."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import checks, rules
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.sql.macros import COLUMN
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
        self._named: dict[str, str] = {}  # the SELECT list's aliases

    def query(self, node: exp.Expression) -> str:
        """A query's SQL, without parentheses."""
        with self._ctes(node) as prefix:
            if isinstance(node, exp.Subquery):
                return prefix + self._around(f"({self.query(node.this)})", node)
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
        before = dict(self.context.stubs)
        try:
            made = []
            recursive = bool(clause and clause.args.get("recursive"))
            for cte in clause.expressions if clause else ():
                if recursive:
                    known[cte.alias.lower()] = None
                    self.context.recursive.append(cte.alias)
                text = self.query(cte.this)
                if cte.alias in self.context.recursive:
                    self.context.recursive.remove(cte.alias)
                self._stub(cte.alias, text)
                known[cte.alias.lower()] = titles(cte.this)
                made.append(f"{quoted(cte.alias)} AS ({text})")
            word = "WITH RECURSIVE" if recursive else "WITH"
            yield f"{word} {', '.join(made)} " if made else ""
        finally:
            self.context.ctes.pop()
            self.context.stubs = before

    def _stub(self, name: str, text: str) -> None:
        relation = self.bound(text)
        self.context.stubs[name.lower()] = checks.stub(relation) if relation is not None else text

    def bound(self, text: str) -> duckdb.DuckDBPyRelation | None:
        """A query as DuckDB's binder knows it, None where it does not."""
        try:
            return self.context.cursor.sql(f"{self._stubs()}{text}") if self.context.cursor else None
        except duckdb.Error:
            return None

    def given(self, text: str) -> list[str]:
        relation = self.bound(text)
        return relation.columns if relation is not None else []

    def _stubs(self) -> str:
        """The CTEs in sight, as far as their columns."""
        stubs = ", ".join(f"{quoted(name)} AS ({text})" for name, text in self.context.stubs.items())
        return f"WITH {stubs} " if stubs else ""

    def settle(self, scope: Scope | None, source: str = "", group: str = "") -> None:
        """Refusal for what does not fit in a SELECT that is compiled, or in what belongs to none."""
        found = scope.checks if scope else self.context.checks
        around = self.context.scopes[-2] if len(self.context.scopes) > 1 else None
        if self.context.cursor and found.found:
            left = found.settle(self.context.cursor, self._stubs(), source, group, last=around is None)
            if around:
                around.checks.found += left
            self.context.unbound += found.unbound
        found.found.clear()

    def _set(self, node: exp.SetOperation) -> str:
        word = SETS.get(type(node))
        if word is None or node.args.get("by_name") or node.args.get("side"):
            raise unsupported(f"the set operation {node.sql('bigquery')[:60]}")
        if not isinstance(node, exp.Union) and not node.args.get("distinct"):
            raise unsupported(f"{word} ALL")
        how = "" if node.args.get("distinct") else " ALL"
        sides = [self._side_of(node.this)]
        first = self.bound(sides[0])
        for name in self.context.recursive:
            if first is not None and name.lower() not in self.context.stubs:
                self.context.stubs[name.lower()] = checks.stub(first)
        sides.append(self._side_of(node.expression))
        second = self.bound(sides[1])
        if first is not None and second is not None:
            told = f"{word}{' DISTINCT' if node.args.get('distinct') else ' ALL'}"
            rules.columns(told, [checks.operands(first), checks.operands(second)])
        return self._around(f"{sides[0]} {word}{how} {sides[1]}", node)

    def _around(self, made: str, node: exp.Expression) -> str:
        """A whole query with its ORDER BY, whose keys are names or numbers of the columns that it gives."""
        if order := node.args.get("order"):
            given = {name.lower() for name in self.given(made)}
            for key in [item.this for item in order.expressions] if given else ():
                if isinstance(key, exp.Column) and key.name.lower() not in given:
                    raise invalid_query(
                        f"Unrecognized name: {key.name} (which is not visible in this ORDER BY)"
                    )
            made = f"SELECT * FROM ({made})"
        return made + self._tail(node, within=None)

    def _side_of(self, node: exp.Expression) -> str:
        plain = not (node.args.get("order") or node.args.get("limit") or node.args.get("with_"))
        return self.query(node) if plain and not isinstance(node, exp.Subquery) else f"({self.query(node)})"

    def _tail(self, node: exp.Expression, within: list[str] | None) -> str:
        """ORDER BY, LIMIT, OFFSET; `within` is the SELECT list, [] where it has a star, None around a whole query."""
        made = ""
        if order := node.args.get("order"):
            made += f" {self._ordered(order, within)}"
        for word in ("limit", "offset"):
            if part := node.args.get(word):
                made += f" {word.upper()} {self._count(part.expression)}"
        return made

    def _count(self, node: exp.Expression) -> str:
        if isinstance(node, exp.Literal) and not node.is_int:
            raise invalid_query(
                f"Syntax error: Expected an integer in LIMIT or OFFSET but got {node.sql('bigquery')}"
            )
        return str(node.this) if isinstance(node, exp.Literal) else self.expr(node)

    def _ordered(self, node: exp.Expression, within: list[str] | None) -> str:
        """A query's ORDER BY, whose keys may be the names or the numbers of its columns."""
        made = []
        for item in node.expressions:
            text = self._place(item.this, within) or self._column_by_name(item.this, within is None)
            if not text:
                with self._aliased():
                    (text,) = self.checked(rules.sorted_by, [item.this])
            made.append(self.key(item, text, self._rank(text)))
        return f"ORDER BY {', '.join(made)}"

    def _place(self, node: exp.Expression, within: list[str] | None) -> str:
        """A column by its number, "" for another key."""
        if not (isinstance(node, exp.Literal) and node.is_int):
            return ""
        at = int(node.this) - 1
        return within[at] if within and 0 <= at < len(within) else f"#{node.this}"

    def _column_by_name(self, node: exp.Expression, around: bool) -> str:
        """A column that the query gives, "" for another key."""
        if not isinstance(node, exp.Column) or len(node.parts) != 1:
            return ""
        return quoted(node.name) if around else self._named.get(node.name.lower(), "")

    def _rank(self, text: str) -> str:
        plain = f"{SCHEMA}.nan_rank"
        if COLUMN.fullmatch(text) or text.startswith("#"):
            return f"{plain}({text})"
        return f"list_transform([{text}], lambda gsql_v: {plain}(gsql_v))[1]"

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
            named = self._named
            made += self._where(node)
            scope.hidden.clear()
            self._named = named  # a subquery has its own
            group = self._group(node, scope)
            self._named = named
            made += group + self._having(node)
            self._named = named
            made = self._finished(node, made, items)
            self.settle(scope, source, group)
        finally:
            self.context.scopes.pop()
        kind = str(node.args.get("kind") or "").upper()
        return f"SELECT s FROM ({made}) AS s" if kind == "STRUCT" else made

    def _finished(self, node: exp.Select, made: str, items: list[str]) -> str:
        """With its ORDER BY, around it where that names columns of a DISTINCT or of a star."""
        order = node.args.get("order")
        if node.args.get("distinct") and (relation := self.bound(made)) is not None:
            rules.grouped_by(checks.operands(relation))
        starred = any(item.endswith("*") or "* EXCLUDE" in item or "* REPLACE" in item for item in items)
        texts = [] if starred else [item.rpartition(" AS ")[0] for item in items]
        if order and (node.args.get("distinct") or (not texts and _numbers(order))):
            return self._around(made, node)
        return made + self._tail(node, within=texts)

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
        return f" WHERE {self.checked(rules.condition('WHERE'), [where.this])[0]}" if where else ""

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
        return self.checked(rules.grouped_by, [node])[0]

    def _having(self, node: exp.Select) -> str:
        made = ""
        for clause in ("having", "qualify"):
            if part := node.args.get(clause):
                with self._aliased():
                    (test,) = self.checked(rules.condition(clause.upper()), [part.this])
                made += f" {clause.upper()} {test}"
            if clause == "having" and (windows := node.args.get("windows")):
                made += (
                    f" WINDOW {', '.join(f'{quoted(each.name)} AS {self.over(each)}' for each in windows)}"
                )
        return made

    @contextmanager
    def _aliased(self) -> Iterator[None]:
        """The SELECT list's aliases stand for what they name."""
        scope = self.context.scopes[-1] if self.context.scopes else Scope()
        scope.aliases = dict(self._named)
        try:
            yield
        finally:
            scope.aliases = {}

    def over(self, node: exp.Expression) -> str:
        if node.args.get("over") is None and isinstance(node.this, exp.Identifier):  # WINDOW w AS (..)
            bare = exp.Window(**{key: value for key, value in node.args.items() if key != "this"})
            return super().over(bare)
        return super().over(node)


def _numbers(order: exp.Expression) -> bool:
    return any(isinstance(item.this, exp.Literal) for item in order.expressions)


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
