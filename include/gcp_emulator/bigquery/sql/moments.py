"""Functions of dates and times that name a part: https://cloud.google.com/bigquery/docs/reference/standard-sql/date_functions."""

import re
from collections.abc import Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import rules
from gcp_emulator.bigquery.sql.functions import SCHEMA, parts
from gcp_emulator.bigquery.sql.macros import Macros

CALENDAR = re.compile(r"(DATE|DATETIME|TIMESTAMP|TIME)_(ADD|SUB|DIFF|TRUNC)")
CLOCK = frozenset(["hour", "minute", "second", "millisecond", "microsecond", "date", "time", "datetime"])
CLOCKED = frozenset({"TIMESTAMP", "DATETIME", "TIME", "INTERVAL"})
OF_DAYS = frozenset({"TIMESTAMP", "DATETIME"})
OVERFLOWN = frozenset(["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"])


class Moments(Macros):
    """Compiles their calls."""

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
