"""Function calls: plain ones by the white list, and those that need more than their arguments."""

import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import rules
from gcp_emulator.bigquery.sql.aggregates import Aggregates
from gcp_emulator.bigquery.sql.coercion import Rule
from gcp_emulator.bigquery.sql.functions import SCHEMA, parts
from gcp_emulator.bigquery.sql.functions.strings import groups
from gcp_emulator.bigquery.sql.known import AGGREGATES, MACRO, NAVIGATION, NUMBERING, PLAIN, SAFE, TAKES
from gcp_emulator.bigquery.types import literal, quoted

COMPARISONS = frozenset(["eq", "ne", "lt", "le", "between", "or_null", "nan_rank"])
OPTIONAL = re.compile(r"\)(?:[?*]|\{0)|\|")  # what may leave a group out of a match
COLUMN = re.compile(r'"[^"]+"(\."[^"]+")*')
LEAVES = (exp.Literal, exp.Boolean, exp.Null, exp.RawString)
CALENDAR = re.compile(r"(DATE|DATETIME|TIMESTAMP|TIME)_(ADD|SUB|DIFF|TRUNC)")
CLOCK = frozenset(["hour", "minute", "second", "millisecond", "microsecond", "date", "time", "datetime"])
CLOCKED = frozenset({"TIMESTAMP", "DATETIME", "TIME", "INTERVAL"})
ZONED = frozenset(["DATE", "DATETIME", "TIME", "STRING"])
OF_DAYS = frozenset({"TIMESTAMP", "DATETIME"})
OVERFLOWN = frozenset(["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"])


class Calls(Aggregates):
    """Compiles calls; `expr` is the rest of the compiler's."""

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

    # Dates and times

    def part(self, node: exp.Expression, known: Sequence[str]) -> str:
        """A date part's name as in the macros' names."""
        name = node.name.upper()
        if isinstance(node, exp.Anonymous | exp.WeekStart) or node.find(exp.Anonymous):
            inner = node.expressions[0].name.upper() if node.expressions else ""
            name = f"{name}_{inner}"
        if name not in known:
            raise invalid_query(f"A valid date part name is required but found {node.sql('bigquery')}")
        return name.lower()

    def _calendar(self, name: str, arguments: Sequence[exp.Expression]) -> str:
        kind, verb = name.split("_")
        rule = None
        if kind in ("TIMESTAMP", "TIME"):
            rule = rules.of_kinds(f"function {name}", frozenset({kind}))
        elif self._clocked(arguments[1 if verb == "TRUNC" else -1]):
            rule = rules.of_kinds(f"function {name}, of a part of a day,", OF_DAYS)
        if verb == "TRUNC":
            macro = f"trunc_{self.part(arguments[1], parts.TRUNC)}"
            if len(arguments) == 3:
                return self.macro(macro, [arguments[0], arguments[2]], rule=rules.zoned(f"function {name}"))
            return self.macro(macro, [arguments[0], *arguments[2:]], rule=rule, of=[0])
        if verb == "DIFF":
            part = self.part(arguments[2], parts.TRUNC)
            if kind == "TIMESTAMP":
                if part.upper() not in parts.MICROS:
                    raise invalid_query(f"TIMESTAMP_DIFF does not support the {part.upper()} date part")
                return self.macro(f"elapsed_{part}", arguments[:2], rule=rule)
            return self.macro(f"diff_{part}", arguments[:2], rule=rule)
        span = arguments[1]
        if not isinstance(span, exp.Interval) or not isinstance(span.args.get("unit"), exp.Var):
            raise unsupported(f"{name} with anything but INTERVAL n part")
        part = self.part(span.args["unit"], parts.SHIFT)
        if kind == "TIMESTAMP" and part.upper() in OVERFLOWN - {"DAY"}:
            raise invalid_query(f"TIMESTAMP_{verb} does not support the {part.upper()} date part")
        count = self.count(span.this)
        number = exp.Neg(this=count) if verb == "SUB" else count
        return self.macro(f"shift_{part}", [arguments[0], number], rule=rule, of=[0])

    def _clocked(self, node: exp.Expression) -> bool:
        """Whether a part, or an interval's, is one of a day."""
        unit = node.args.get("unit") if isinstance(node, exp.Interval) else node
        return unit is not None and unit.name.lower() in CLOCK

    def count(self, node: exp.Expression) -> exp.Expression:
        """An interval's number; the parser makes strings of whole ones."""
        if isinstance(node, exp.Literal) and node.is_string and re.fullmatch(r"-?\d+", node.this):
            number = exp.Literal.number(node.this.lstrip("-"))
            return exp.Neg(this=number) if node.this.startswith("-") else number
        return node

    def span(self, node: exp.Expression, part: str) -> str:
        if part not in parts.SHIFT:
            raise unsupported(f"INTERVAL .. {part}")
        number = self.expr(self.count(node))
        if part in parts.MICROS and part != "DAY":
            return f"to_microseconds({number} * {parts.MICROS[part]})"
        if part in ("DAY", "WEEK"):
            return f"to_days(CAST({number} * {7 if part == 'WEEK' else 1} AS INTEGER))"
        return f"to_months(CAST({number} * {dict(MONTH=1, QUARTER=3, YEAR=12)[part]} AS INTEGER))"

    def _call_last_day(self, node: exp.Expression) -> str:
        unit = node.expressions[1] if len(node.expressions) > 1 else exp.Var(this="MONTH")
        part = self.part(unit, (*parts.WEEKS, *parts.LONG, "ISOYEAR"))
        if part not in ("month", "quarter", "year"):
            raise unsupported(f"LAST_DAY of {part.upper()}")
        day = self.macro("to_date", [node.expressions[0]])
        first = f"{SCHEMA}.trunc_{part}(gsql_v)"
        return (
            f"list_transform([{day}], lambda gsql_v: CAST({SCHEMA}.shift_{part}({first}, 1) - 1 AS DATE))[1]"
        )

    def _extract(self, node: exp.Expression) -> str:
        source, zone = node.expression, []
        if isinstance(source, exp.AtTimeZone):
            source, zone = source.this, [source.args["zone"]]
        part = self.part(node.this, parts.EXTRACT)
        if zone:
            return self.macro(
                f"extract_{part}", [source, *zone], rule=rules.zoned("EXTRACT with AT TIME ZONE")
            )
        rule = rules.of_kinds(f"EXTRACT of {part.upper()}", CLOCKED) if part in CLOCK else None
        return self.macro(f"extract_{part}", [source], rule=rule)

    def _currentdate(self, node: exp.Expression) -> str:
        return f"{SCHEMA}.current_date()"

    def _currenttimestamp(self, node: exp.Expression) -> str:
        return f"{SCHEMA}.current_timestamp()"

    def _currentdatetime(self, node: exp.Expression) -> str:
        return f"{SCHEMA}.current_datetime()"

    def _currenttime(self, node: exp.Expression) -> str:
        return f"{SCHEMA}.current_time()"

    def _call_generate_date_array(self, node: exp.Expression) -> str:
        start, end, *step = node.expressions
        unit, number = "day", "CAST(1 AS BIGINT)"
        if step:
            span = step[0]
            if not isinstance(span, exp.Interval) or not isinstance(span.args.get("unit"), exp.Var):
                raise unsupported("GENERATE_DATE_ARRAY with this step")
            unit = self.part(span.args["unit"], ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"))
            count = self.count(span.this)
            if not isinstance(count, exp.Literal) or int(count.this) < 1:
                raise unsupported("GENERATE_DATE_ARRAY with a step that is no positive constant")
            number = self.expr(count)
        made = f"{SCHEMA}.shift_{unit}(gsql_v['a'], gsql_i * {number})"
        bounds = f"{{'a': {self.macro('to_date', [start])}, 'b': {self.macro('to_date', [end])}}}"
        days = "range(0, greatest(0, CAST(gsql_v['b'] - gsql_v['a'] AS BIGINT) + 1))"
        listed = f"list_filter(list_transform({days}, lambda gsql_i: {made}), lambda gsql_d: gsql_d <= gsql_v['b'])"
        listed = f"CASE WHEN gsql_v['a'] IS NOT NULL AND gsql_v['b'] IS NOT NULL THEN {listed} END"
        return f"list_transform([{bounds}], lambda gsql_v: {listed})[1]"


def _signed(node: exp.Expression) -> bool:
    return isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
