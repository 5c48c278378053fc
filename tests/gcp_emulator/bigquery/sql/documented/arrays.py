"""Arrays and STRUCTs, as documented.

https://cloud.google.com/bigquery/docs/reference/standard-sql/array_functions
https://cloud.google.com/bigquery/docs/reference/standard-sql/subqueries
"""

from typing import Any

RIGHT: list[tuple[str, Any]] = [
    ("[10, 20, 30][OFFSET(1)]", 20),
    ("[10, 20, 30][ORDINAL(1)]", 10),
    ("[10, 20, 30][SAFE_OFFSET(5)]", None),
    ("ARRAY_LENGTH([1, NULL])", 2),
    ("ARRAY_REVERSE([1, 2, 3])", [3, 2, 1]),
    ("ARRAY_TO_STRING(['coffee', 'tea', NULL], '--')", "coffee--tea"),
    ("ARRAY_TO_STRING(['cake', 'pie', NULL], '--', 'MISSING')", "cake--pie--MISSING"),
    ("ARRAY_CONCAT([1, 2], [3])", [1, 2, 3]),
    ("ARRAY_CONCAT([1, 2], CAST(NULL AS ARRAY<INT64>))", None),
    ("GENERATE_ARRAY(0, 10, 3)", [0, 3, 6, 9]),
    ("GENERATE_ARRAY(10, 0, -3)", [10, 7, 4, 1]),
    ("GENERATE_ARRAY(10, 0)", []),
    ("ARRAY_LENGTH(GENERATE_DATE_ARRAY(DATE '2016-01-01', DATE '2016-12-31', INTERVAL 2 MONTH))", 6),
    ("ARRAY(SELECT x * 2 FROM UNNEST([1, 2]) AS x ORDER BY x DESC)", [4, 2]),
    ("ARRAY<STRING>['a'][OFFSET(0)]", "a"),
    ("(SELECT x FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o WHERE o = 0)", "a"),
    # beyond the plain cases
    ("[1, 2, 3][0]", 1),
    ("[1, 2, 3][SAFE_ORDINAL(0)]", None),
    ("[1, 2, 3][OFFSET(NULL)]", None),
    ("ARRAY_LENGTH(CAST(NULL AS ARRAY<INT64>))", None),
    ("GENERATE_ARRAY(5, 5)", [5]),
    ("GENERATE_ARRAY(NULL, 5)", None),
    ("ARRAY(SELECT AS STRUCT x, x + 1 AS y FROM UNNEST([1]) AS x)", [{"x": 1, "y": 2}]),
    ("ARRAY(SELECT 1 FROM UNNEST(CAST([] AS ARRAY<INT64>)))", []),
    ("1 IN UNNEST(CAST(NULL AS ARRAY<INT64>))", False),
    ("1 NOT IN UNNEST([2, NULL])", None),
    ("[1, 1.5]", [1.0, 1.5]),
    ("[STRUCT(1 AS a), STRUCT(2 AS a)]", [{"a": 1}, {"a": 2}]),
    ("(SELECT x FROM UNNEST([1]) AS x WHERE x > 1)", None),
]

REFUSED: list[str] = [
    "ARRAY_FILTER([1], e -> e > 1)",
    "[STRUCT(1 AS a), STRUCT(2 AS b)]",
    "ARRAY_SLICE([1, 2, 3], 0, 1)",
]

WRONG: list[tuple[str, str]] = [
    ("[1, 2][OFFSET(2)]", "Array index 2 is out of bounds"),
    ("[1, 2][ORDINAL(0)]", "Array index 0 is out of bounds"),
    ("[1, 'a']", "Array elements of types {INT64, STRING} do not have a common supertype"),
    ("[[1]]", "nested arrays are not supported"),
    ("ARRAY_CONCAT([1], ['a'])", "No matching signature for function ARRAY_CONCAT"),
    ("GENERATE_ARRAY(1, 5, 0)", "Sequence step cannot be 0."),
    ("ARRAY_LAST(CAST([] AS ARRAY<INT64>))", "ARRAY_LAST cannot get the last element of an empty array"),
    ("(SELECT x FROM UNNEST([1, 2]) AS x)", "Scalar subquery produced more than one element"),
]
