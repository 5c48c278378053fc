"""Macros of one date part each: trunc_month(x), diff_day(a, b), extract_isoweek(x), shift_hour(x, n)."""

from collections.abc import Iterator

WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
WEEKS = {"WEEK": 0, "ISOWEEK": 1, **{f"WEEK_{day}": number for number, day in enumerate(WEEKDAYS)}}
MICROS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
LONG = ("MONTH", "QUARTER", "YEAR")
TRUNC = (*MICROS, *WEEKS, *LONG, "ISOYEAR")
EXTRACT = (*MICROS, *WEEKS, *LONG, "ISOYEAR", "DAYOFWEEK", "DAYOFYEAR", "DATE", "TIME", "DATETIME")
SHIFT = (*MICROS, "WEEK", *LONG)

_DATED = {
    "DAYOFWEEK": "dayofweek({x}) + 1",
    "DAYOFYEAR": "dayofyear({x})",
    "ISOYEAR": "isoyear({x})",
    "ISOWEEK": "weekofyear({x})",
    "DAY": "day({x})",
    "MONTH": "month({x})",
    "QUARTER": "quarter({x})",
    "YEAR": "year({x})",
}
_CLOCK = {
    "HOUR": "hour({x})",
    "MINUTE": "minute({x})",
    "SECOND": "second({x})",
    "MILLISECOND": "(epoch_us({x}) % 1000000 + 1000000) % 1000000 // 1000",
    "MICROSECOND": "(epoch_us({x}) % 1000000 + 1000000) % 1000000",
}


def macros() -> Iterator[str]:
    """CREATE MACRO statements."""
    for part in TRUNC:
        yield _trunc(part)
        yield _diff(part)
    for part in EXTRACT:
        yield _extract(part)
    for part in SHIFT:
        yield _shift(part)
    for part, size in MICROS.items():
        passed = f"(epoch_us(a) - epoch_us(b)) // {size}"
        yield f"CREATE MACRO _gsql.elapsed_{part.lower()} (a TIMESTAMPTZ, b TIMESTAMPTZ) AS {passed}"


def _since(part: str, x: str) -> str:
    """SQL: days since the week's first day."""
    return f"CAST((dayofweek({x}) - {WEEKS[part]} + 7) % 7 AS INTEGER)"


def _floor(part: str, x: str, kind: str) -> str:
    if part in WEEKS:
        day = f"CAST({x} AS DATE) - {_since(part, x)}"
    elif part == "ISOYEAR":
        day = f"date_trunc('week', make_date(isoyear({x}), 1, 4))"
    elif part in LONG or part == "DAY":
        day = f"date_trunc('{part.lower()}', {x})"
    else:
        size = MICROS[part]
        micros = f"epoch_us({x})"
        return f"make_timestamp({micros} - (({micros} % {size}) + {size}) % {size})"
    return f"CAST({day} AS {kind})"


def _trunc(part: str) -> str:
    name = f"CREATE MACRO _gsql.trunc_{part.lower()}"
    moment = _floor(part, "a", "TIMESTAMP")
    utc = f"timezone('UTC', {_floor(part, '_gsql.utc(a)', 'TIMESTAMP')})"
    zoned = f"_gsql.moment_of({_floor(part, '_gsql.zoned(a, z)', 'TIMESTAMP')}, z)"
    if part in MICROS and part != "DAY":  # by the offset at that moment, which a repeated hour has twice
        size = MICROS[part]
        zoned = f"make_timestamptz(epoch_us(a) - (epoch_us(_gsql.zoned(a, z)) % {size} + {size}) % {size})"
    made = [
        f"(a TIMESTAMP) AS {moment}",
        f"(a TIMESTAMPTZ) AS {utc}",
        f"(a TIMESTAMPTZ, z VARCHAR) AS {zoned}",
    ]
    if part not in MICROS or part == "DAY":
        made.append(f"(a DATE) AS {_floor(part, 'a', 'DATE')}")
    elif part != "DAY":
        micros = f"epoch_us(a) // {MICROS[part]} * {MICROS[part]}"
        made.append(f"(a TIME) AS CAST(make_timestamp({micros}) AS TIME)")
    return f"{name} {', '.join(made)}"


def _diff(part: str) -> str:
    """Boundaries of the part that lie between: DATE_DIFF, DATETIME_DIFF and TIME_DIFF."""
    name = f"CREATE MACRO _gsql.diff_{part.lower()}"
    made = []
    for kind in ("DATE", "TIMESTAMP"):
        if part in MICROS and part != "DAY":
            if kind == "DATE":
                continue
            size = MICROS[part]
            floors = [
                f"(epoch_us({x}) - ((epoch_us({x}) % {size}) + {size}) % {size}) // {size}" for x in "ab"
            ]
            body = f"{floors[0]} - {floors[1]}"
        elif part in LONG:
            body = f"datediff('{part.lower()}', CAST(b AS DATE), CAST(a AS DATE))"
        elif part == "ISOYEAR":
            body = "isoyear(a) - isoyear(b)"
        elif part == "DAY":
            body = "CAST(a AS DATE) - CAST(b AS DATE)"
        else:
            body = f"({_floor(part, 'a', 'DATE')} - {_floor(part, 'b', 'DATE')}) // 7"
        made.append(f"(a {kind}, b {kind}) AS CAST({body} AS BIGINT)")
    if part in MICROS and part != "DAY":
        size = MICROS[part]
        made.append(f"(a TIME, b TIME) AS epoch_us(a) // {size} - epoch_us(b) // {size}")
    return f"{name} {', '.join(made)}"


def _number(part: str, x: str) -> str:
    if part in _DATED:
        return _DATED[part].format(x=x)
    if part in WEEKS:  # weeks before the first one of the year are week 0
        return f"(dayofyear({x}) + 6 - {_since(part, x)}) // 7"
    return _CLOCK[part].format(x=x)


def _extract(part: str) -> str:
    name = f"CREATE MACRO _gsql.extract_{part.lower()}"
    if part in ("DATE", "TIME", "DATETIME"):
        kind = "TIMESTAMP" if part == "DATETIME" else part
        made = [
            f"(a TIMESTAMP) AS CAST(a AS {kind})",
            f"(a TIMESTAMPTZ) AS CAST(_gsql.utc(a) AS {kind})",
            f"(a TIMESTAMPTZ, z VARCHAR) AS CAST(_gsql.zoned(a, z) AS {kind})",
        ]
        return f"{name} {', '.join(made)}"
    sources = {
        "a TIMESTAMP": "a",
        "a TIMESTAMPTZ": "_gsql.utc(a)",
        "a TIMESTAMPTZ, z VARCHAR": "_gsql.zoned(a, z)",
    }
    sources |= {"a TIME": "a"} if part in _CLOCK else {"a DATE": "a"}
    made = [f"({takes}) AS CAST({_number(part, x)} AS BIGINT)" for takes, x in sources.items()]
    return f"{name} {', '.join(made)}"


def _shift(part: str) -> str:
    """`n` parts later: months end where a shorter month ends."""
    name = f"CREATE MACRO _gsql.shift_{part.lower()}"
    if part in MICROS and part != "DAY":
        span = f"to_microseconds(n * {MICROS[part]})"
    elif part in ("DAY", "WEEK"):
        span = f"to_days(CAST(n * {7 if part == 'WEEK' else 1} AS INTEGER))"
    else:
        span = f"to_months(CAST(n * {dict(MONTH=1, QUARTER=3, YEAR=12)[part]} AS INTEGER))"
    made = [
        f"(a TIMESTAMP, n BIGINT) AS _gsql.in_range(a + {span})",
        f"(a TIMESTAMPTZ, n BIGINT) AS _gsql.in_range(timezone('UTC', _gsql.utc(a) + {span}))",
    ]
    if part in MICROS and part != "DAY":
        day = MICROS["DAY"]
        moved = f"(epoch_us(a) + n * {MICROS[part]} % {day} + {day}) % {day}"
        made.append(f"(a TIME, n BIGINT) AS CAST(make_timestamp({moved}) AS TIME)")
    else:
        made.append(f"(a DATE, n BIGINT) AS _gsql.in_range(CAST(a + {span} AS DATE))")
    return f"{name} {', '.join(made)}"
