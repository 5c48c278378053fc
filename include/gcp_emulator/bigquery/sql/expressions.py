"""Expressions: each kind of node that is known to be right becomes DuckDB's SQL, every other is refused by name."""

import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import parameters, rules
from gcp_emulator.bigquery.sql.casts import Casts
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.types import literal, quoted

BINARY: dict[type[exp.Expression], str] = {
    exp.Add: "plus",
    exp.Sub: "minus",
    exp.Mul: "times",
    exp.Div: "over",
    exp.Mod: "mod",
    exp.DPipe: "joined",
}
COMPARED: dict[type[exp.Expression], tuple[str, bool]] = {
    exp.EQ: ("eq", False),
    exp.NEQ: ("ne", False),
    exp.LT: ("lt", False),
    exp.LTE: ("le", False),
    exp.GT: ("lt", True),
    exp.GTE: ("le", True),
}
BITS: dict[type, str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|"}
SHIFTS: dict[type, str] = {exp.BitwiseLeftShift: "shift_left", exp.BitwiseRightShift: "shift_right"}
SIGNS = {"plus": "+", "minus": "-", "times": "*", "over": "/", "mod": "%"}
PSEUDO = ("_PARTITIONTIME", "_PARTITIONDATE", "_FILE_NAME", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP")


WRITTEN: dict[type, str] = {
    exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
IN, DISTINCT = rules.comparison("IN"), rules.comparison("IS DISTINCT FROM")


class Expressions(Casts):
    """Compiles one expression at a time in the scopes of `self.context`."""

    def expr(self, node: exp.Expression) -> str:
        """DuckDB's SQL; Refusal for what is not known to be right."""
        method: Callable[[exp.Expression], str] | None = getattr(
            self, f"_{type(node).__name__.lower()}", None
        )
        if method is not None:
            return method(node)
        kind = type(node)
        if kind in BINARY:
            self._no_text(node)
            if mixed := self._mixed(node):
                return mixed
            rule = rules.subtracted if kind is exp.Sub else None
            return self.macro(BINARY[kind], [node.this, node.expression], rule=rule)
        if kind in COMPARED:
            macro, swapped = COMPARED[kind]
            return self._compared(node, macro, swapped=swapped)
        if kind in BITS:
            return f"({self.expr(node.this)} {BITS[kind]} {self.expr(node.expression)})"
        if kind in SHIFTS:
            return self.macro(SHIFTS[kind], [node.this, node.expression])
        raise unsupported(f"the expression {node.sql('bigquery')}")

    def _no_text(self, node: exp.Expression) -> None:
        """DuckDB would read a number out of a string constant."""
        sides = (node.this, node.expression)
        if not isinstance(node, exp.DPipe) and any(
            isinstance(side, exp.Literal) and side.is_string for side in sides
        ):
            sign = SIGNS[BINARY[type(node)]]
            raise invalid_query(f"No matching signature for operator {sign} for argument types: STRING")

    def _mixed(self, node: exp.Expression) -> str:
        """Arithmetic of a literal with a point and something else, whose type says the literal's; "" for other."""
        left, right = node.this, node.expression
        at = next((at for at, side in enumerate((left, right)) if _pointed(side)), None)
        if at is None or isinstance((right, left)[at], exp.Literal):
            return ""
        constant = (left, right)[at].this
        pair = f"CAST('{constant}' AS DOUBLE), CAST('{constant}' AS DECIMAL(38,9))"
        sides = ["gsql_v", "gsql_v"]
        sides[at] = f"{SCHEMA}.literal_for(gsql_v, {pair})"
        call = f"{SCHEMA}.{quoted(BINARY[type(node)])}({', '.join(sides)})"
        return f"list_transform([{self.expr((right, left)[at])}], lambda gsql_v: {call})[1]"

    def _compared(self, node: exp.Expression, macro: str, *, swapped: bool) -> str:
        left, right = node.this, node.expression
        if isinstance(right, exp.Any | exp.All) or isinstance(left, exp.Any | exp.All):
            raise unsupported("a comparison with ANY or ALL")
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            if macro not in ("eq", "ne"):
                raise unsupported("an ordering of STRUCTs")
            return f"(NOT {self._same(left, right)})" if macro == "ne" else self._same(left, right)
        texts = self.checked(rules.comparison(WRITTEN[type(node)]), [left, right])
        order = slice(None, None, -1 if swapped else 1)
        return self.applied(macro, [left, right][order], texts[order])

    def _same(self, left: exp.Expression, right: exp.Expression) -> str:
        """Rows that are equal: field by field, NULL where that decides."""
        if not isinstance(right, exp.Tuple) or len(left.expressions) != len(right.expressions):
            raise invalid_query(f"No matching signature for operator = for {right.sql('bigquery')}")
        pairs = zip(left.expressions, right.expressions, strict=True)
        nodes = [exp.EQ(this=one.copy(), expression=other.copy()) for one, other in pairs]
        return f"({' AND '.join(self._compared(each, 'eq', swapped=False) for each in nodes)})"

    # Names

    def _column(self, node: exp.Expression) -> str:
        parts = [part for part in node.parts if isinstance(part, exp.Identifier)]  # type: ignore[attr-defined]
        if isinstance(node.this, exp.Star):
            raise invalid_query(f"Star expansion expression .* is not allowed here: {node.sql('bigquery')}")
        return self.named([part.name for part in parts], parts[0])

    def named(self, path: Sequence[str], node: exp.Expression) -> str:
        """A column, a field of one, an alias or a script's variable."""
        path = self._short(path)
        first = path[0]
        if first.upper() in PSEUDO:
            raise unsupported(f"the pseudo column {first}")
        if place := node.meta.get("line"):
            self.context.places.setdefault(path[-1].lower(), (place, _start(node)))
            self.context.places.setdefault(first.lower(), (place, _start(node)))
        scope = self.context.scopes[-1] if self.context.scopes else None
        if scope and len(path) == 1 and first.lower() in scope.aliases:
            return scope.aliases[first.lower()]
        if scope and len(path) == 1 and first.lower() in scope.hidden and self._unseen(first):
            place = self.context.places.get(first.lower())
            raise invalid_query(
                f"Unrecognized name: {first}{f' at [{place[0]}:{place[1]}]' if place else ''}"
            )
        variable = self.context.names.session.variables.get(first.lower())
        if variable is not None and not self.context.sees(first):
            fields = "".join(f".{quoted(part)}" for part in path[1:])
            return f"({variable.duckdb}){fields}"
        made = quoted(*path)
        return f"coalesce({made}, [])" if self._repeated(path) else made

    def _short(self, path: Sequence[str]) -> Sequence[str]:
        """`project.dataset.table.column` by the table's name, which is its alias."""
        seen = {alias for scope in self.context.scopes for alias in scope.tables}
        if path[0].lower() in seen:
            return path
        return next((path[at:] for at in (1, 2) if len(path) > at + 1 and path[at].lower() in seen), path)

    def _repeated(self, path: Sequence[str]) -> bool:
        """Whether this is surely an array of a stored table: a missing one is empty there."""
        lowered = [part.lower() for part in path]
        for scope in reversed(self.context.scopes):
            for alias, columns in scope.tables.items():
                inner = lowered[1:] if len(lowered) > 1 and lowered[0] == alias else lowered
                if kind := columns.get(".".join(inner)):
                    return kind == "REPEATED" or kind.startswith("RECORD:")
        return False

    def _unseen(self, name: str) -> bool:
        """Whether surely no FROM in sight has the column."""
        return not self.context.sees(name) and not any(scope.open for scope in self.context.scopes)

    def _dot(self, node: exp.Expression) -> str:
        if isinstance(node.expression, exp.Star):
            raise invalid_query("Dot-star is not allowed here")
        inner = node.this
        if isinstance(inner, exp.Parameter) and isinstance(inner.this, exp.Parameter):  # @@error.message
            return self._system(f"{inner.this.this.name}.{node.expression.name}".lower(), node)
        if not isinstance(node.expression, exp.Identifier):
            raise unsupported(f"the function {node.sql('bigquery')}")
        return f"({self.expr(node.this)}).{quoted(node.expression.name)}"

    def _identifier(self, node: exp.Expression) -> str:
        return self.named([node.name], node)

    def _parameter(self, node: exp.Expression) -> str:
        if isinstance(node.this, exp.Parameter):
            return self._system(node.this.this.name.lower(), node)
        return parameters.value(self.context.names.parameters, node.this.name)

    def _system(self, name: str, node: exp.Expression) -> str:
        names = self.context.names
        known = {
            "project_id": names.project,
            "dataset_id": (names.default_dataset or ("", ""))[1],
            "dataset_project_id": (names.default_dataset or (names.project, ""))[0],
            "time_zone": "UTC",
            "session_id": names.session.id,
        }
        if name in known:
            return literal(known[name])
        kept = names.session.variables.get(f"@@{name}")
        if kept is None:
            raise unsupported(f"the system variable @@{name}")
        return f"({kept.duckdb})"

    # Constants

    def _literal(self, node: exp.Expression) -> str:
        if node.is_string:
            return literal(node.this)
        if not re.fullmatch(r"\d+", node.this):
            return f"CAST('{node.this}' AS DOUBLE)"
        if int(node.this) >= 2**63:
            raise invalid_query(f"Invalid integer literal: {node.this}")
        return f"CAST({node.this} AS BIGINT)"

    def _rawstring(self, node: exp.Expression) -> str:
        return literal(node.this)

    def _bytestring(self, node: exp.Expression) -> str:
        data = node.this.encode().decode("unicode_escape").encode("latin-1")
        return f"unhex('{data.hex()}')"

    def _hexstring(self, node: exp.Expression) -> str:
        return f"CAST({int(node.this, 16)} AS BIGINT)"

    def _boolean(self, node: exp.Expression) -> str:
        return "true" if node.this else "false"

    def _null(self, node: exp.Expression) -> str:
        return "NULL"

    def _neg(self, node: exp.Expression) -> str:
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            kind = "BIGINT" if re.fullmatch(r"\d+", inner.this) else "DOUBLE"
            return f"CAST('-{inner.this}' AS {kind})"
        return self.macro("negated", [inner])

    def _parsejson(self, node: exp.Expression) -> str:
        return self.macro("parse_json", [node.this])

    def _interval(self, node: exp.Expression) -> str:
        unit = node.args.get("unit")
        if not isinstance(unit, exp.Var):
            raise unsupported(f"the interval {node.sql('bigquery')}")
        return self.span(node.this, unit.name.upper())

    # Logic

    def _paren(self, node: exp.Expression) -> str:
        return f"({self.expr(node.this)})"

    def _and(self, node: exp.Expression) -> str:
        left, right = self.checked(rules.condition("operator AND"), [node.this, node.expression])
        return f"({left} AND {right})"

    def _or(self, node: exp.Expression) -> str:
        left, right = self.checked(rules.condition("operator OR"), [node.this, node.expression])
        return f"({left} OR {right})"

    def _not(self, node: exp.Expression) -> str:
        return f"(NOT {self.checked(rules.condition('operator NOT'), [node.this])[0]})"

    def _bitwisenot(self, node: exp.Expression) -> str:
        return f"(~{self.expr(node.this)})"

    def _bitwisexor(self, node: exp.Expression) -> str:
        return f"xor({self.expr(node.this)}, {self.expr(node.expression)})"

    def _is(self, node: exp.Expression) -> str:
        if isinstance(node.expression, exp.Boolean):
            (text,) = self.checked(rules.condition("operator IS"), [node.this])
        else:
            text = self.expr(node.this)
        return f"({text} IS {self.expr(node.expression)})"

    def _nullsafeneq(self, node: exp.Expression) -> str:
        left, right = self.checked(DISTINCT, [node.this, node.expression])
        return f"({left} IS DISTINCT FROM {right})"

    def _nullsafeeq(self, node: exp.Expression) -> str:
        left, right = self.checked(DISTINCT, [node.this, node.expression])
        return f"({left} IS NOT DISTINCT FROM {right})"

    def _between(self, node: exp.Expression) -> str:
        operands = [node.this, node.args["low"], node.args["high"]]
        return self.macro("between", operands, rule=rules.comparison("BETWEEN"))

    def _like(self, node: exp.Expression) -> str:
        pattern = node.expression
        negated = "NOT " if node.args.get("negate") else ""
        if isinstance(pattern, exp.Any | exp.All):
            word = " OR " if isinstance(pattern, exp.Any) else " AND "
            listed = pattern.this
            if not isinstance(listed, exp.Tuple | exp.Paren):
                raise unsupported("LIKE with ANY or ALL of an array or a subquery")
            items = listed.expressions if isinstance(listed, exp.Tuple) else [listed.this]
            made = [f"{negated}{self.macro('like', [node.this, item])}" for item in items]
            return f"({word.join(made)})"
        return f"({negated}{self.macro('like', [node.this, pattern])})"

    def _in(self, node: exp.Expression) -> str:
        if isinstance(node.this, exp.Tuple) and node.expressions:
            return "(" + " OR ".join(self._same(node.this, item) for item in node.expressions) + ")"
        left = self.expr(node.this)
        if unnest := node.args.get("unnest"):
            array = self.expr(unnest.expressions[0])
            self.check(IN, [node.this, exp.Var(this="")], [left, f"({array})[1]"])
            made = f"(SELECT unnest({array}))"
        elif query := node.args.get("query"):
            made = self.subquery(query)
            self.check(IN, [node.this, exp.Var(this="")], [left, made])
        else:
            items = [self.expr(item) for item in node.expressions]
            self.check(IN, [node.this, *node.expressions], [left, *items])
            made = f"({', '.join(items)})"
        if isinstance(node.this, exp.Literal | exp.RawString | exp.Tuple):
            return f"({left} IN {made})"
        return f"{SCHEMA}.listed({left}, {left} IN {made})"

    def _tuple(self, node: exp.Expression) -> str:
        return f"({', '.join(self.expr(item) for item in node.expressions)})"

    def _case(self, node: exp.Expression) -> str:
        default = node.args.get("default")
        tests = [arm.this for arm in node.args["ifs"]]
        gives = [arm.args["true"] for arm in node.args["ifs"]] + ([default] if default else [])
        values = self.checked(rules.arms, gives)
        operand = ""
        if node.this:
            value, *whens = self.checked(rules.comparison("="), [node.this, *tests])
            operand = f" {self.applied('or_null', [node.this], [value])}"  # a NaN equals nothing
        else:
            whens = self.checked(rules.condition("operator CASE"), tests)
        made = "".join(
            f" WHEN {when} THEN {value}" for when, value in zip(whens, values[: len(whens)], strict=True)
        )
        return f"(CASE{operand}{made}{f' ELSE {values[-1]}' if default else ''} END)"

    def _if(self, node: exp.Expression) -> str:
        (test,) = self.checked(rules.condition("function IF"), [node.this])
        values = self.checked(rules.signature("function IF"), [node.args["true"], node.args["false"]])
        return f"(CASE WHEN {test} THEN {values[0]} ELSE {values[1]} END)"

    # Queries

    def _subquery(self, node: exp.Expression) -> str:
        return self.subquery(node)

    def _select(self, node: exp.Expression) -> str:
        return self.subquery(node)

    def _exists(self, node: exp.Expression) -> str:
        return f"EXISTS {self.subquery(node.this)}"

    def subquery(self, node: exp.Expression) -> str:
        inner = node.this if isinstance(node, exp.Subquery) else node
        return f"({self.query(inner)})"


def _pointed(node: exp.Expression) -> bool:
    return (
        isinstance(node, exp.Literal)
        and not node.is_string
        and re.fullmatch(r"\d*\.\d*", node.this) is not None
    )


def _start(node: exp.Expression) -> int:
    return int(node.meta.get("col") or 0) - len(node.name) + 1
