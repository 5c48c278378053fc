"""Calls of the macros in DuckDB that stand for GoogleSQL's functions and operators."""

import re
from collections.abc import Sequence

from sqlglot import exp

from gcp_emulator.bigquery.sql.aggregates import Aggregates
from gcp_emulator.bigquery.sql.coercion import Rule
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.types import quoted

COMPARISONS = frozenset(["eq", "ne", "lt", "le", "between", "or_null", "nan_rank"])
COLUMN = re.compile(r'"[^"]+"(\."[^"]+")*')
LEAVES = (exp.Literal, exp.Boolean, exp.Null, exp.RawString)


class Macros(Aggregates):
    """Compiles a macro's call; `expr` is the rest of the compiler's."""

    def macro(
        self,
        name: str,
        arguments: Sequence[exp.Expression],
        *more: str,
        rule: Rule | None = None,
        of: Sequence[int] = (),
    ) -> str:
        """A macro's call; `rule` is for the types of the arguments `of` these places, or of all."""
        made = [self.expr(node) for node in arguments]
        if rule:
            at = of or range(len(arguments))
            self.check(rule, [arguments[each] for each in at], [made[each] for each in at])
        return self.applied(name, arguments, made, *more)

    def applied(self, name: str, arguments: Sequence[exp.Expression], made: Sequence[str], *more: str) -> str:
        """A macro's call. Its arguments are bound once, before it: an overloaded macro binds them several times,
        and does not see the type of an aggregate. Columns that are compared stay, so that DuckDB can join by hash;
        elsewhere they must not: in an UNNEST of a FROM, DuckDB loses sight of them."""
        varying = [at for at, node in enumerate(arguments) if not isinstance(node, LEAVES)]
        compared = name in COMPARISONS and all(COLUMN.fullmatch(made[at]) for at in varying)
        name = f"{SCHEMA}.{quoted(name)}"
        if not varying or compared:
            return f"{name}({', '.join([*made, *more])})"
        if len(varying) == 1:
            held, passed = made[varying[0]], {varying[0]: "gsql_v"}
        else:  # not gsql_v.a0, which HAVING takes for a column
            held = "{" + ", ".join(f"'a{at}': {made[at]}" for at in varying) + "}"
            passed = {at: f"gsql_v['a{at}']" for at in varying}
        given = [passed.get(at, text) for at, text in enumerate(made)]
        return f"list_transform([{held}], lambda gsql_v: {name}({', '.join([*given, *more])}))[1]"
