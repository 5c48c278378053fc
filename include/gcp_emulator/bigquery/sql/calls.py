"""Function calls: plain ones by the white list, and those that need more than their arguments."""

import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import rules
from gcp_emulator.bigquery.sql.functions import SCHEMA
from gcp_emulator.bigquery.sql.functions.strings import groups
from gcp_emulator.bigquery.sql.known import AGGREGATES, MACRO, NAVIGATION, NUMBERING, PLAIN, SAFE, TAKES
from gcp_emulator.bigquery.sql.macros import LEAVES
from gcp_emulator.bigquery.sql.moments import CALENDAR, Moments
from gcp_emulator.bigquery.types import literal

OPTIONAL = re.compile(r"\)(?:[?*]|\{0)|\|")  # what may leave a group out of a match
ZONED = frozenset(["DATE", "DATETIME", "TIME", "STRING"])


class Calls(Moments):
    """Compiles calls; `expr` is the rest of the compiler's."""

    def _anonymous(self, node: exp.Expression) -> str:
        name = node.name.upper()
        special: Callable[[exp.Expression], str] | None = getattr(self, f"_call_{name.lower()}", None)
        if special is not None:
            return special(node)
        if name in AGGREGATES:
            return self.aggregate(node)
        if name in NUMBERING or name in NAVIGATION:
            raise invalid_query(f"Analytic function {name} cannot be called without an OVER clause")
        if CALENDAR.fullmatch(name):
            return self._calendar(name, node.expressions)
        if name not in PLAIN:
            raise unsupported(f"the function {name}")
        fewest, most = PLAIN[name]
        if not fewest <= len(node.expressions) <= most:
            raise invalid_query(f"Number of arguments does not match for function {name}")
        if any(isinstance(each, exp.Kwarg | exp.Order | exp.Distinct) for each in node.expressions):
            raise unsupported(f"the function {name} with named arguments or modifiers")
        macro = MACRO.get(name, name.lower())
        if name in ZONED and len(node.expressions) == 2:
            return self.macro(macro, node.expressions, rule=rules.zoned(f"function {name}"))
        place, kinds = TAKES.get(name, (0, frozenset()))
        rule = rules.of_kinds(f"function {name}", kinds) if kinds else None
        return self.macro(macro, node.expressions, rule=rule, of=[place])

    def _safefunc(self, node: exp.Expression) -> str:
        call = node.this
        name = call.name.upper()
        if name in SAFE:
            return self.macro(SAFE[name], call.expressions)
        if any(
            not isinstance(each, (*LEAVES, exp.Column, exp.Interval, exp.Cast)) and not _signed(each)
            for each in call.expressions
        ):
            raise unsupported(f"SAFE.{name} over an expression that may fail itself")
        if name not in PLAIN and not CALENDAR.fullmatch(name):
            raise unsupported(f"SAFE.{name}")
        return f"TRY({self.expr(call)})"

    def _call_parse_json(self, node: exp.Expression) -> str:
        text, *modes = node.expressions
        mode = "exact"
        for each in modes:
            named = isinstance(each, exp.Kwarg) and each.name.lower() == "wide_number_mode"
            if not named or not isinstance(each.expression, exp.Literal):
                raise unsupported("PARSE_JSON with this wide_number_mode")
            mode = each.expression.this.lower()
        if mode not in ("exact", "round"):
            raise invalid_query(f"Invalid wide_number_mode: {mode}")
        rule = rules.of_kinds("function PARSE_JSON", frozenset({"STRING"}))
        return self.macro("parse_json", [text], literal(mode), rule=rule)

    # Conditions

    def _call_ifnull(self, node: exp.Expression) -> str:
        self._of_two(node)
        return self._call_coalesce(node)

    def _of_two(self, node: exp.Expression) -> None:
        if len(node.expressions) != 2:
            raise invalid_query(f"Number of arguments does not match for function {node.name.upper()}")

    def _call_coalesce(self, node: exp.Expression) -> str:
        if not node.expressions:
            raise invalid_query("Number of arguments does not match for function COALESCE")
        rule = rules.signature(f"function {node.name.upper()}")
        return f"coalesce({', '.join(self.checked(rule, node.expressions))})"

    def _call_nullif(self, node: exp.Expression) -> str:
        self._of_two(node)
        left, right = self.checked(rules.comparison("NULLIF"), node.expressions)
        other = self.applied("or_null", node.expressions[1:], [right])  # a NaN equals nothing
        return f"nullif({left}, {other})"

    def _call_error(self, node: exp.Expression) -> str:
        return self.macro("fail", node.expressions)

    def _call_session_user(self, node: exp.Expression) -> str:
        return literal(self.context.names.user)

    def _call_rand(self, node: exp.Expression) -> str:
        return "random()"

    def _call_unnest(self, node: exp.Expression) -> str:
        raise invalid_query("UNNEST is only allowed in FROM and after IN")

    # Constructors and lists

    def _call_struct(self, node: exp.Expression) -> str:
        return self.struct(node.expressions)

    def struct(self, items: Sequence[exp.Expression]) -> str:
        """Fields are called by their aliases, else as the column, else _field_n."""
        if self.context.changing and not any(self.title(item) for item in items):
            return f"row({', '.join(self.expr(item) for item in items)})"
        made = []
        for number, item in enumerate(items, 1):
            inner = item.this if isinstance(item, exp.Alias) else item
            made.append(f"{literal(self.title(item) or f'_field_{number}')}: {self.expr(inner)}")
        return f"{{{', '.join(made)}}}"

    def title(self, node: exp.Expression) -> str:
        """The name that a column of this expression gets, "" if none."""
        if isinstance(node, exp.Alias):
            return str(node.alias)
        if isinstance(node, exp.Column):
            return str(node.name)
        if isinstance(node, exp.Dot):
            return str(node.expression.name)
        return ""

    def _call_concat(self, node: exp.Expression) -> str:
        texts = self.checked(rules.concatenated, node.expressions)
        made = [
            self.applied("text_of", [each], [text])
            for each, text in zip(node.expressions, texts, strict=True)
        ]
        return f"({' || '.join(made)})"

    def _call_array_concat(self, node: exp.Expression) -> str:
        items = self.checked(rules.signature("function ARRAY_CONCAT"), node.expressions)
        return f"{SCHEMA}.array_concat([{', '.join(items)}])"

    def _call_greatest(self, node: exp.Expression) -> str:
        rule = rules.comparison(node.name.upper())
        items = ", ".join(self.checked(rule, node.expressions))
        return f"list_transform([[{items}]], lambda gsql_v: {SCHEMA}.{node.name.lower()}(gsql_v))[1]"

    _call_least = _call_greatest

    def _call_format(self, node: exp.Expression) -> str:
        template, *values = node.expressions
        shown = [self.macro("shown", [each]) for each in values]
        kinds = [f"typeof({self.expr(each)})" for each in values]
        return (
            f"_gsql_format({self.expr(template)}, CAST([{', '.join(kinds)}] AS VARCHAR[]), "
            f"CAST([{', '.join(shown)}] AS VARCHAR[]))"
        )

    # Regular expressions

    def _call_regexp_extract(self, node: exp.Expression) -> str:
        if len(node.expressions) > 2:
            raise unsupported(f"{node.name.upper()} with a position")
        return self.macro("regexp_extract", node.expressions, self._captures(node))

    _call_regexp_substr = _call_regexp_extract

    def _call_regexp_extract_all(self, node: exp.Expression) -> str:
        return self.macro("regexp_extract_all", node.expressions, self._captures(node))

    def _captures(self, node: exp.Expression) -> str:
        pattern = node.expressions[1]
        if not isinstance(pattern, exp.Literal | exp.RawString):
            raise unsupported(f"{node.name.upper()} with a pattern that is no constant")
        number = groups(pattern.this)
        if number > 1:
            raise invalid_query(f"Regular expression has more than one capturing group: {pattern.this}")
        return "-1" if number and OPTIONAL.search(pattern.this) else str(number)

    def _normalize(self, node: exp.Expression) -> str:
        form = node.args.get("form")
        return self.macro("normalize", [node.this], literal(form.name.upper() if form else "NFC"))


def _signed(node: exp.Expression) -> bool:
    return isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
