"""Aggregate and window functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import rules
from gcp_emulator.bigquery.sql.coercion import Rule
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.sql.known import AGGREGATES, NAVIGATION, NUMBERING
from gcp_emulator.bigquery.sql.scope import Context

OF_TWO = frozenset({"APPROX_QUANTILES", "CORR", "COVAR_POP", "COVAR_SAMP", "MAX_BY", "MIN_BY"})
ORDERED = frozenset({"RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG", "LEAD"})
WHOLE = (exp.Literal, exp.Parameter)
SUMMED = frozenset({"INTEGER", "FLOAT", "NUMERIC", "BIGNUMERIC", "INTERVAL"})
NATIVE = {
    "MAX": "max", "ANY_VALUE": "any_value", "LOGICAL_AND": "bool_and", "LOGICAL_OR": "bool_or",
    "STDDEV": "stddev_samp", "STDDEV_SAMP": "stddev_samp", "STDDEV_POP": "stddev_pop", "VARIANCE": "var_samp",
    "VAR_SAMP": "var_samp", "VAR_POP": "var_pop", "CORR": "corr", "COVAR_POP": "covar_pop",
    "COVAR_SAMP": "covar_samp", "BIT_AND": "bit_and", "BIT_OR": "bit_or", "BIT_XOR": "bit_xor", "MAX_BY": "arg_max",
    "MIN_BY": "arg_min",
}  # fmt: skip


@dataclass(slots=True)
class Modifiers:
    """What stands inside an aggregate's parentheses beside its arguments."""

    arguments: list[exp.Expression]
    distinct: bool = False
    ignore_nulls: bool = False
    order: exp.Expression | None = None
    respect_nulls: bool = False
    limit: exp.Expression | None = None
    having: exp.Expression | None = None


def modifiers(arguments: Sequence[exp.Expression]) -> Modifiers:
    """Unwrapped: LIMIT(ORDER(IGNORE NULLS(DISTINCT x))) around the arguments, in whatever order."""
    made = Modifiers([])
    for node in arguments:
        while isinstance(
            node, exp.Limit | exp.Order | exp.IgnoreNulls | exp.RespectNulls | exp.Distinct | exp.HavingMax
        ):
            if isinstance(node, exp.Limit):
                made.limit = node.expression
            elif isinstance(node, exp.Order):
                made.order = node
            elif isinstance(node, exp.IgnoreNulls):
                made.ignore_nulls = True
            elif isinstance(node, exp.RespectNulls):
                made.respect_nulls = True
            elif isinstance(node, exp.HavingMax):
                made.having = node
            elif isinstance(node, exp.Distinct):
                made.distinct = True
                made.arguments += node.expressions[:-1]
                node = node.expressions[-1]
                continue
            node = node.this
        made.arguments.append(node)
    return made


class Aggregates(ABC):
    """Compiles aggregate calls, with OVER or without."""

    context: Context

    @abstractmethod
    def expr(self, node: exp.Expression) -> str:
        """DuckDB's SQL of an expression."""

    @abstractmethod
    def applied(self, name: str, arguments: Sequence[exp.Expression], made: Sequence[str], *more: str) -> str:
        """A macro's call; `made` is the SQL of its arguments."""

    def check(self, rule: Rule, nodes: Sequence[exp.Expression], texts: Sequence[str] = ()) -> None:
        """What the types of these expressions must be; `texts` are their SQL if it is at hand."""
        scopes = self.context.scopes
        checks = scopes[-1].checks if scopes else self.context.checks
        checks.add(rule, nodes, texts or [self.expr(node) for node in nodes])

    def checked(self, rule: Rule, nodes: Sequence[exp.Expression]) -> list[str]:
        """Their SQL, with a check of their types."""
        made = [self.expr(node) for node in nodes]
        self.check(rule, nodes, made)
        return made

    def order(self, node: exp.Expression) -> str:
        """DuckDB's SQL of an ORDER BY: NULL is the smallest value, NaN the next."""
        items = [item.this for item in node.expressions]
        texts = self.checked(rules.sorted_by, items)
        ranks = [self.applied("nan_rank", [item], [text]) for item, text in zip(items, texts, strict=True)]
        keys = map(self.key, node.expressions, texts, ranks)
        return f"ORDER BY {', '.join(keys)}"

    def key(self, item: exp.Expression, text: str, rank: str = "") -> str:
        """One of ORDER BY's; `rank` goes before it."""
        falling = bool(item.args.get("desc"))
        first = item.args.get("nulls_first")
        nulls = "FIRST" if (first if first is not None else not falling) else "LAST"
        way = f"{'DESC' if falling else 'ASC'} NULLS {nulls}"
        return f"{rank} {way}, {text} {way}" if rank else f"{text} {way}"

    def aggregate(self, node: exp.Expression, over: str = "") -> str:
        """`over` is DuckDB's OVER clause."""
        name = node.name.upper()
        told = modifiers(node.expressions)
        scope = self.context.scopes[-1] if self.context.scopes else None
        kept = scope.aliases if scope else {}
        if scope:
            scope.aliases = {}  # aliases do not reach into aggregates
        try:
            return self._aggregate(name, told, over)
        finally:
            if scope:
                scope.aliases = kept

    def _aggregate(self, name: str, told: Modifiers, over: str) -> str:
        if name in ("ARRAY_AGG", "ARRAY_CONCAT_AGG", "STRING_AGG"):
            return self._collected(name, told, over)
        if told.order or told.limit or (told.having and name != "ANY_VALUE"):
            raise unsupported(f"{name} with ORDER BY, LIMIT or HAVING")
        if told.respect_nulls:
            raise unsupported(f"{name} with RESPECT NULLS")
        _distinct_over(told, over)
        star = told.arguments and isinstance(told.arguments[0], exp.Star)
        if name == "COUNT" and star:
            return f"count(*){over}"
        if len(told.arguments) != (2 if name in OF_TWO else 1):
            raise invalid_query(f"Number of arguments does not match for aggregate function {name}")
        arguments = [self.expr(each) for each in told.arguments]
        if rule := _rule(name, distinct=told.distinct):
            self.check(rule, told.arguments[:1], arguments[:1])
        return self._plain(name, told, arguments, over)

    def _plain(self, name: str, told: Modifiers, arguments: list[str], over: str) -> str:
        distinct = "DISTINCT " if told.distinct else ""
        first = arguments[0]
        match name:
            case "COUNT":
                return f"count({distinct}{first}){over}"
            case "COUNTIF":
                return f"coalesce(CAST(count_if({distinct}CAST({first} AS BOOLEAN)){over} AS BIGINT), 0)"
            case "SUM":
                return _typed("narrow", [f"sum({distinct}{first}){over}"])
            case "AVG":
                return _typed("average", [f"sum({distinct}{first}){over}", f"count({distinct}{first}){over}"])
            case "MIN":  # NaN is the largest to DuckDB; to BigQuery it goes through
                return _typed("smallest", [f"min({first}){over}", f"max({first}){over}"])
            case "APPROX_COUNT_DISTINCT":
                return f"count(DISTINCT {first}){over}"
            case "APPROX_QUANTILES":
                return self._quantiles(told, first)
            case "ANY_VALUE" if told.having:
                highest = bool(told.having.args.get("max"))
                return self._picked(highest, first, self.expr(told.having.expression), over)
            case "MAX_BY" | "MIN_BY":
                return self._picked(name == "MAX_BY", first, arguments[1], over)
        return f"{NATIVE[name]}({distinct}{', '.join(arguments)}){over}"

    def _picked(self, highest: bool, value: str, by: str, over: str) -> str:
        """The value beside the highest or lowest of those that have one: NULLs are ignored before HAVING counts."""
        return f"arg_{'max' if highest else 'min'}({value}, {SCHEMA}.no_nan({by})){over}"

    def _quantiles(self, told: Modifiers, first: str) -> str:
        number = told.arguments[1]
        if told.distinct or not isinstance(number, exp.Literal) or number.this == "0":
            raise unsupported("APPROX_QUANTILES with DISTINCT or without a constant number")
        count = int(number.this)
        shares = ", ".join(str(each / count) for each in range(count + 1))
        return f"quantile_disc({SCHEMA}.no_nan({first}), [{shares}])"

    def _collected(self, name: str, told: Modifiers, over: str) -> str:
        if not 1 <= len(told.arguments) <= (2 if name == "STRING_AGG" else 1):
            raise invalid_query(f"Number of arguments does not match for aggregate function {name}")
        first = self.expr(told.arguments[0])
        if name == "ARRAY_AGG":
            self.check(rules.no_array(name), told.arguments[:1], [first])
        elif name == "STRING_AGG":
            self.check(rules.of_kinds(name, frozenset({"STRING"})), told.arguments[:1], [first])
        distinct = "DISTINCT " if told.distinct else ""
        ordered = f" {self.order(told.order)}" if told.order else ""
        some = name != "ARRAY_AGG" or told.ignore_nulls
        clause = f" FILTER (WHERE {first} IS NOT NULL)" if some else ""
        if over and (told.order or told.limit):
            raise invalid_query(f"ORDER BY and LIMIT are not allowed in the analytic function {name}")
        made = f"array_agg({distinct}{first}{ordered}){clause}{over}"
        if told.limit:
            made = f"list_slice({made}, 1, {self.expr(told.limit)})"
        if name == "ARRAY_CONCAT_AGG":
            return f"flatten({made})"
        if name == "STRING_AGG":
            separator = self.expr(told.arguments[1]) if len(told.arguments) > 1 else "','"
            return f"_gsql_join({made}, {separator}, NULL)"
        return made

    def _groupconcat(self, node: exp.Expression) -> str:
        return self._string_agg(node, "")

    def _string_agg(self, node: exp.Expression, over: str) -> str:
        separator = node.args.get("separator")
        arguments = [node.this, *([separator] if separator else [])]
        return self.aggregate(exp.Anonymous(this="STRING_AGG", expressions=arguments), over)

    # OVER

    def _window(self, node: exp.Expression) -> str:
        call, over = node.this, f" OVER {self.over(node)}"
        if call.name.upper() in ORDERED and not node.args.get("alias") and not node.args.get("order"):
            raise invalid_query(f"Window ORDER BY is required for analytic function {call.name.upper()}")
        if isinstance(call, exp.GroupConcat):
            return self._string_agg(call, over)
        if not isinstance(call, exp.Anonymous):
            raise unsupported(f"the analytic function {call.sql('bigquery')}")
        name = call.name.upper()
        if name in NUMBERING:
            arguments = ", ".join(self.expr(each) for each in call.expressions)
            made = f"{name.lower()}({arguments}){over}"
            return made if name in ("PERCENT_RANK", "CUME_DIST") else f"CAST({made} AS BIGINT)"
        if name in NAVIGATION:
            return self._navigation(name, call, over)
        if name not in AGGREGATES:
            raise unsupported(f"the analytic function {name}")
        return self.aggregate(call, over)

    def _navigation(self, name: str, call: exp.Expression, over: str) -> str:
        told = modifiers(call.expressions)
        first, *rest = [self.expr(each) for each in told.arguments]
        if name.startswith("PERCENTILE_") and told.respect_nulls:
            raise unsupported(f"{name} with RESPECT NULLS")
        if name.startswith("PERCENTILE_"):
            kind = "quantile_cont" if name.endswith("CONT") else "quantile_disc"
            value = f"{SCHEMA}.no_nan({f'CAST({first} AS DOUBLE)' if name.endswith('CONT') else first})"
            return f"{kind}({value}, {rest[0]}){over}"
        nulls = " IGNORE NULLS" if told.ignore_nulls else ""
        if name in ("LAG", "LEAD") and len(told.arguments) > 1 and not isinstance(told.arguments[1], WHOLE):
            raise invalid_query(
                f"The second argument of {name} must be an integer constant that is not negative"
            )
        if name in ("LAG", "LEAD") and nulls:
            raise unsupported(f"{name} with IGNORE NULLS")
        if name in ("LAG", "LEAD") and rest:
            rest[0] = f"CAST({rest[0]} AS INTEGER)"
        return f"{name.lower()}({', '.join([first, *rest])}{nulls}){over}"

    def over(self, node: exp.Expression) -> str:
        """A window in parentheses, or its name."""
        base = node.args.get("alias")
        spec, order = node.args.get("spec"), node.args.get("order")
        partition = node.args.get("partition_by") or ()
        if base and not (spec or order or partition):
            return f'"{base.name}"'
        made = [f'"{base.name}"'] if base else []
        if partition:
            made.append(f"PARTITION BY {', '.join(self.checked(rules.apart, partition))}")
        if order:
            made.append(self._ranged(order) if _offset(spec) else self.order(order))
        if spec:
            sides = [self._side(spec, side) for side in ("start", "end") if spec.args.get(side)]
            frame = f"BETWEEN {sides[0]} AND {sides[1]}" if len(sides) == 2 else sides[0]
            made.append(f"{spec.args['kind'].upper()} {frame}")
        return f"({' '.join(made)})"

    def _ranged(self, order: exp.Expression) -> str:
        """The one key of a RANGE of n PRECEDING or FOLLOWING."""
        keys = [self.key(item, f"{SCHEMA}.no_nan({self.expr(item.this)})") for item in order.expressions]
        return f"ORDER BY {', '.join(keys)}"

    def _side(self, spec: exp.Expression, side: str) -> str:
        value, direction = spec.args[side], spec.args.get(f"{side}_side")
        text = value if isinstance(value, str) else self.expr(value)
        return (
            f"{text} {direction or ''}".strip().upper() if isinstance(value, str) else f"{text} {direction}"
        )


def _distinct_over(told: Modifiers, over: str) -> None:
    if told.distinct and "ORDER BY " in over:
        raise invalid_query("Window ORDER BY is not allowed if DISTINCT is specified")
    if told.distinct and (" BETWEEN " in over or "PRECEDING" in over):
        raise invalid_query("Window framing clause is not allowed if DISTINCT is specified")


def _rule(name: str, *, distinct: bool) -> Rule | None:
    """What the first argument's type must be."""
    if name in ("SUM", "AVG"):
        return rules.of_kinds(f"aggregate function {name}", SUMMED)
    if name in ("MIN", "MAX"):
        return rules.comparison(name)
    if name == "COUNTIF":
        return rules.condition("aggregate function COUNTIF")
    return rules.told_apart if distinct else None


def _offset(spec: exp.Expression | None) -> bool:
    """Whether a frame is a RANGE by a distance."""
    sides = [spec.args.get(side) for side in ("start", "end")] if spec else []
    ranged = spec is not None and str(spec.args.get("kind")).upper() == "RANGE"
    return ranged and any(isinstance(side, exp.Expression) for side in sides)


def _typed(macro: str, values: Sequence[str]) -> str:
    fields = ", ".join(f"'a{number}': {value}" for number, value in enumerate(values))
    passed = ", ".join(f"gsql_v['a{number}']" for number in range(len(values)))
    return f"list_transform([{{{fields}}}], lambda gsql_v: {SCHEMA}.{macro}({passed}))[1]"
