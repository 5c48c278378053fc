"""FORMAT(): https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions#format_string."""

import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal

from gcp_emulator.bigquery.sql.functions.udf import Fault

SPECIFIER = re.compile(
    r"%(?P<flags>[-+ #0']*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*))?(?P<kind>.)", re.DOTALL
)
TYPED = {"DATE": "DATE", "TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIME": "TIME"}


def formatted(template: str, kinds: Sequence[str], values: Sequence[str | None]) -> str | None:
    """`values` as CAST(.. AS STRING) has them, `kinds` their DuckDB types; NULL for any NULL but under %t and %T."""
    rest = iter(zip(kinds, values, strict=True))
    missing = False

    def taken() -> tuple[str, str | None]:
        try:
            return next(rest)
        except StopIteration:
            raise Fault("Too few arguments to FORMAT for pattern " + json.dumps(template)) from None

    def one(found: re.Match[str]) -> str:
        nonlocal missing
        if found["kind"] == "%":
            return "%"
        width, precision = found["width"], found["precision"]
        width = taken()[1] if width == "*" else width
        precision = taken()[1] if precision == "*" else precision
        kind, value = taken()
        if value is None and found["kind"] not in "tT":
            missing = True
            return ""
        spec = f"%{found['flags'].replace(chr(39), '')}{width or ''}" + (f".{precision}" if precision else "")
        return _one(spec, found["kind"], kind, value, grouped="'" in found["flags"])

    made = SPECIFIER.sub(one, template)
    if next(rest, None) is not None:
        raise Fault("Too many arguments to FORMAT for pattern " + json.dumps(template))
    return None if missing else made


def _one(spec: str, letter: str, kind: str, value: str | None, *, grouped: bool) -> str:
    if letter == "T" and kind == "JSON":
        raise Fault("FORMAT of JSON as %T is not supported by the emulator")
    if letter in "tT":
        text = _typed(kind, value) if letter == "T" else _pointed(kind, value)
        return (spec + "s") % text
    if letter == "s":
        if kind != "VARCHAR":
            raise Fault(f"Invalid type for argument to FORMAT; Expected STRING; Got {kind}")
        return (spec + "s") % value
    if letter in "dixXo" and kind in ("BIGINT", "INTEGER"):
        return _whole(spec, "d" if letter == "i" else letter, int(value or 0), grouped)
    if letter in "fFeEgG" and (kind == "DOUBLE" or kind.startswith("DECIMAL")):
        if kind.startswith("DECIMAL") and letter in "fF" and "." in spec:
            spec, _, places = spec.partition(".")
            rounded = Decimal(value or 0).quantize(Decimal(1).scaleb(-int(places)), "ROUND_HALF_UP")
            return (spec + "s") % rounded
        made = (spec + letter) % float(value or 0)
        return _grouped(made) if grouped else made
    raise Fault(f"Invalid type or specifier in FORMAT: %{letter} with {kind}")


def _whole(spec: str, letter: str, value: int, grouped: bool) -> str:
    made = (spec + letter) % value
    return _grouped(made) if grouped else made


def _grouped(text: str) -> str:
    return re.sub(r"\d+", lambda found: f"{int(found[0]):,}", text, count=1)


def _pointed(kind: str, value: str | None) -> str:
    """As in a CAST, but a number that may have a fraction always shows one."""
    if value is None:
        return "NULL"
    if kind == "DOUBLE" and not math.isfinite(float(value)):
        raise Fault("FORMAT of NaN and infinity as %t and %T is not supported by the emulator")
    fraction = kind == "DOUBLE" or kind.startswith("DECIMAL")
    return f"{value}.0" if fraction and not re.search(r"[.e]", value) else value


def _typed(kind: str, value: str | None) -> str:
    if value is None:
        return "NULL"
    if kind == "VARCHAR":
        return json.dumps(value, ensure_ascii=False)
    text = _pointed(kind, value)
    if kind.startswith("DECIMAL"):
        return f'NUMERIC "{text}"'
    return f'{TYPED[kind]} "{text}"' if kind in TYPED else text
