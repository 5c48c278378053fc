"""Numbers as text, exact NUMERIC, and what floating point says where it overflows."""

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext

from gcp_emulator.bigquery.sql.functions.udf import Fault, Udf

WIDE = Context(prec=120, rounding=ROUND_HALF_UP)
NINE = Decimal("1e-9")
LIMIT = Decimal(10) ** 29
ROUNDING = {"ROUND_HALF_UP": ROUND_HALF_UP, "ROUND_HALF_EVEN": ROUND_HALF_EVEN, "ROUND_DOWN": ROUND_DOWN}


def float_text(value: float) -> str:
    """The shorter of 15 and 17 digits that reads back as the same number."""
    if value == 0:
        return "0"
    short = f"{value:.15g}"
    return short if value != value or float(short) == value else f"{value:.17g}"


def numeric(value: Decimal) -> Decimal:
    """Rounded to NUMERIC's nine places, half away from zero; Fault past 29 digits before the point."""
    rounded = value.quantize(NINE, context=WIDE)
    if abs(rounded) >= LIMIT:
        raise Fault("numeric overflow")
    return rounded


def _numeric_text(text: str) -> str | None:
    try:
        return str(numeric(Decimal(text)))
    except Fault:
        return None


def _over(left: str, right: str) -> str:
    if Decimal(right) == 0:
        raise Fault(f"division by zero: {_short(left)} / {_short(right)}")
    return str(numeric(WIDE.divide(Decimal(left), Decimal(right))))


def _times(left: str, right: str) -> str:
    return str(numeric(WIDE.multiply(Decimal(left), Decimal(right))))


def _short(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _numeric_round(text: str, places: int, rounding: str) -> str:
    with localcontext(WIDE):
        step = Decimal(1).scaleb(-min(places, 9))
        return str(numeric((Decimal(text) / step).quantize(Decimal(1), ROUNDING[rounding]) * step))


def _round(value: float, places: int) -> float:
    """Half away from zero on the number as it is written, as Google's documentation has it."""
    if not math.isfinite(value) or places > 300:
        return value
    return float(_scaled(value, places, ROUND_HALF_UP))


def _trunc(value: float, places: int) -> float:
    return float(_scaled(value, places, ROUND_DOWN)) if math.isfinite(value) and places <= 300 else value


def _scaled(value: float, places: int, rounding: str) -> Decimal:
    with localcontext(Context(prec=700)):
        step = Decimal(1).scaleb(-places)
        return (Decimal(repr(value)) / step).quantize(Decimal(1), rounding) * step


def _pow(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise Fault(
            f"Floating point error in function: POW({float_text(base)}, {float_text(exponent)})"
        ) from None


def _log(value: float, base: float) -> float:
    if value <= 0 or base <= 0 or base == 1:
        raise Fault(f"Floating point error in function: LOG({float_text(value)}, {float_text(base)})")
    if base in (2.0, 10.0):
        return math.log2(value) if base == 2 else math.log10(value)
    return math.log(value) / math.log(base)


def _hex_int(text: str) -> int | None:
    value = int(text.strip(), 16)
    return value if -(2**63) <= value < 2**63 else None


def _shift(value: int, by: int, *, left: bool) -> int:
    if by < 0:
        raise Fault(f"Bitwise shift by negative offset: {by}")
    bits = value & (2**64 - 1)
    moved = (bits << by if left else bits >> by) & (2**64 - 1) if by < 64 else 0
    return moved - 2**64 if moved >= 2**63 else moved


FUNCTIONS = {
    "float_text": Udf(float_text, ("DOUBLE",), "VARCHAR"),
    "numeric": Udf(_numeric_text, ("VARCHAR",), "VARCHAR"),
    "numeric_over": Udf(_over, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    "numeric_times": Udf(_times, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    "numeric_round": Udf(_numeric_round, ("VARCHAR", "BIGINT", "VARCHAR"), "VARCHAR"),
    "round": Udf(_round, ("DOUBLE", "BIGINT"), "DOUBLE"),
    "trunc": Udf(_trunc, ("DOUBLE", "BIGINT"), "DOUBLE"),
    "pow": Udf(_pow, ("DOUBLE", "DOUBLE"), "DOUBLE"),
    "log": Udf(_log, ("DOUBLE", "DOUBLE"), "DOUBLE"),
    "hex_int": Udf(_hex_int, ("VARCHAR",), "BIGINT"),
    "shift_left": Udf(lambda value, by: _shift(value, by, left=True), ("BIGINT", "BIGINT"), "BIGINT"),
    "shift_right": Udf(lambda value, by: _shift(value, by, left=False), ("BIGINT", "BIGINT"), "BIGINT"),
}
