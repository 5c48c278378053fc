"""Aggregates, as documented.

https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions
https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate-function-calls
https://cloud.google.com/bigquery/docs/reference/standard-sql/approximate_aggregate_functions
https://cloud.google.com/bigquery/docs/reference/standard-sql/statistical_aggregate_functions
"""

from decimal import Decimal as N
from typing import Any

RIGHT: list[tuple[str, Any]] = [
    ("(SELECT SUM(x) FROM UNNEST([1, 2, 3, NULL]) AS x)", 6),
    ("(SELECT AVG(x) FROM UNNEST([0, 2, 4, 4, 5]) AS x)", 3.0),
    ("(SELECT AVG(x) FROM UNNEST([NUMERIC '1', NUMERIC '2']) AS x)", N("1.5")),
    ("(SELECT COUNTIF(x > 1) FROM UNNEST([1, 2, 3, NULL]) AS x)", 2),
    ("(SELECT COUNT(DISTINCT x) FROM UNNEST([1, 1, NULL]) AS x)", 1),
    ("(SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC LIMIT 2) FROM UNNEST([1, 2, 3, NULL]) AS x)", [3, 2]),
    ("(SELECT STRING_AGG(x, ' & ' ORDER BY LENGTH(x)) FROM UNNEST(['apple', 'pea']) AS x)", "pea & apple"),
    ("(SELECT LOGICAL_AND(x > 0) FROM UNNEST([1, 2]) AS x)", True),
    ("(SELECT ANY_VALUE(x HAVING MAX y) FROM UNNEST([STRUCT(1 AS x, 5 AS y), STRUCT(2, 3)]))", 1),
    ("(SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([1, 2, 3, 4, 5]) AS x)", [1, 3, 5]),
    ("(SELECT ROUND(STDDEV(x), 6) FROM UNNEST([1, 2, 3]) AS x)", 1.0),
    ("(SELECT MAX(x) FROM UNNEST(['a', 'B']) AS x)", "a"),
    # beyond the plain cases
    ("(SELECT COUNTIF(NULL) FROM UNNEST([1]) AS x)", 0),
    ("(SELECT COUNTIF(x > 1) FROM UNNEST(CAST([NULL] AS ARRAY<INT64>)) AS x)", 0),
    ("(SELECT ARRAY_AGG(x) FROM UNNEST(CAST([] AS ARRAY<INT64>)) AS x)", None),
    ("(SELECT STRING_AGG(DISTINCT x, '-' ORDER BY x) FROM UNNEST(['b', 'a', 'b']) AS x)", "a-b"),
    ("(SELECT STRING_AGG(x, '-' ORDER BY x DESC LIMIT 2) FROM UNNEST(['a', 'b', 'c']) AS x)", "c-b"),
    ("(SELECT LOGICAL_AND(x) FROM UNNEST(CAST([] AS ARRAY<BOOL>)) AS x)", None),
    ("(SELECT SUM(DISTINCT x) FROM UNNEST([1, 1, 4]) AS x)", 5),
    ("(SELECT AVG(x) FROM UNNEST([9223372036854775807, 1]) AS x)", 4.611686018427388e18),
    ("(SELECT VAR_SAMP(x) FROM UNNEST([10, 14, 18]) AS x)", 16.0),
    ("(SELECT STDDEV_SAMP(x) FROM UNNEST([1]) AS x)", None),
    ("(SELECT STDDEV_POP(x) FROM UNNEST([1]) AS x)", 0.0),
    ("(SELECT BIT_XOR(x) FROM UNNEST([5678, 1234]) AS x)", 4860),
    ("(SELECT MAX_BY(x, y) FROM UNNEST([STRUCT('a' AS x, 1 AS y), STRUCT(NULL AS x, 2 AS y)]))", "a"),
    ("(SELECT IS_NAN(MAX(x)) FROM UNNEST([1.0, CAST('nan' AS FLOAT64)]) AS x)", True),
    ("(SELECT COUNT(DISTINCT x) FROM UNNEST([CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64), 1]) AS x)", 2),
    (
        "(SELECT IS_NAN(ARRAY_AGG(x ORDER BY x)[OFFSET(0)]) "
        "FROM UNNEST([1.0, CAST('-inf' AS FLOAT64), CAST('nan' AS FLOAT64)]) AS x)",
        True,
    ),
]

REFUSED: list[str] = [
    "HLL_COUNT.EXTRACT(b'x')",
    "(SELECT APPROX_TOP_COUNT(x, 1) FROM UNNEST([1]) AS x)",
    "(SELECT APPROX_QUANTILES(x, 2 RESPECT NULLS) FROM UNNEST([1]) AS x)",
    "(SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([CAST('nan' AS FLOAT64)]) AS x)",
    "(SELECT MAX_BY(1, x) FROM UNNEST([CAST('nan' AS FLOAT64)]) AS x)",
    "(SELECT MAX(x HAVING MAX x) FROM UNNEST([1]) AS x)",
]

WRONG: list[tuple[str, str]] = [
    ("(SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x)", "int64 overflow"),
    (
        "(SELECT SUM(x) FROM UNNEST([TRUE]) AS x)",
        "aggregate function SUM for argument types: BOOL",
    ),
    (
        "(SELECT SUM(x) FROM UNNEST(['1']) AS x)",
        "aggregate function SUM for argument types: STRING",
    ),
    ("(SELECT STRING_AGG(x) FROM UNNEST([1]) AS x)", "No matching signature for STRING_AGG"),
    ("(SELECT COUNTIF(x) FROM UNNEST([1]) AS x)", "aggregate function COUNTIF for argument types: INT64"),
    (
        "(SELECT SUM(x, 1) FROM UNNEST([1]) AS x)",
        "Number of arguments does not match for aggregate function SUM",
    ),
    ("(SELECT COUNT(DISTINCT x, 1) FROM UNNEST([1]) AS x)", "Number of arguments does not match"),
    (
        "(SELECT ARRAY_AGG([x]) FROM UNNEST([1]) AS x)",
        "must not be an array type but was ARRAY<INT64>",
    ),
    ("(SELECT SUM(x) FROM UNNEST([1]) AS x WHERE SUM(x) > 1)", "aggregates"),
    ("(SELECT SUM(SUM(x)) FROM UNNEST([1]) AS x)", "nested"),
]
