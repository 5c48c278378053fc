"""Numbers, as documented.

https://cloud.google.com/bigquery/docs/reference/standard-sql/mathematical_functions
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#numeric_types
"""

from decimal import Decimal as N
from typing import Any

RIGHT: list[tuple[str, Any]] = [
    ("ABS(-3)", 3),
    ("SIGN(-3)", -1),
    ("ROUND(2.5)", 3.0),
    ("ROUND(-2.5)", -3.0),
    ("ROUND(123.7, -1)", 120.0),
    ("ROUND(1.235, 2)", 1.24),
    ("ROUND(NUMERIC '2.25', 1)", N("2.3")),
    ("ROUND(NUMERIC '2.25', 1, 'ROUND_HALF_EVEN')", N("2.2")),
    ("TRUNC(-2.8)", -2.0),
    ("CEIL(2.3)", 3.0),
    ("FLOOR(-2.3)", -3.0),
    ("POW(2.0, 3.0)", 8.0),
    ("SQRT(25.0)", 5.0),
    ("LN(1.0)", 0.0),
    ("LOG(100.0, 10.0)", 2.0),
    ("LOG10(100.0)", 2.0),
    ("SAFE_DIVIDE(20, 4)", 5.0),
    ("SAFE_DIVIDE(0, 20)", 0.0),
    ("SAFE_DIVIDE(20, 0)", None),
    ("IS_INF(IEEE_DIVIDE(20.0, 0.0))", True),
    ("IS_NAN(IEEE_DIVIDE(0.0, 0.0))", True),
    ("SAFE_ADD(9223372036854775807, 1)", None),
    ("SAFE_MULTIPLY(20, 4)", 80),
    ("GREATEST(3, 5, 1)", 5),
    ("GREATEST(3, NULL, 1)", None),
    ("LEAST(3, 5, 1)", 1),
    ("BIT_COUNT(5)", 2),
    # beyond the plain cases
    ("ROUND(5, -1)", 10.0),
    ("ROUND(-123.456, 2)", -123.46),
    ("TRUNC(1.999, 2)", 1.99),
    ("MOD(NUMERIC '5.5', 2)", N("1.5")),
    ("CEIL(NUMERIC '1.1')", N("2")),
    ("SAFE_NEGATE(-9223372036854775807 - 1)", None),
    ("SAFE_SUBTRACT(-9223372036854775807, 10)", None),
    ("SAFE_DIVIDE(NUMERIC '10', 0)", None),
    ("SIGN(0.0)", 0.0),
    ("BIT_COUNT(-1)", 64),
    ("SQRT(NUMERIC '4')", 2.0),
    ("POW(2, 3)", 8.0),
]

REFUSED: list[str] = [
    "BIT_CAST_TO_INT32(1)",
    "RANGE_BUCKET(20, [0, 10])",
]

WRONG: list[tuple[str, str]] = [
    ("MOD(1, 0)", "division by zero: MOD(1, 0)"),
    ("SQRT(-1.0)", "Argument to SQRT"),
    ("LN(0)", "Floating point error in function: LN(0)"),
    ("POW(0, -1)", "Floating point error in function: POW(0, -1)"),
    ("ABS(-9223372036854775807 - 1)", "int64 overflow"),
    ("ABS('1')", "No matching signature for function ABS"),
    ("SQRT('4')", "No matching signature for function SQRT"),
    ("POW('2', 2)", "No matching signature for function POW"),
    ("IS_NAN('nan')", "No matching signature for function IS_NAN"),
]
