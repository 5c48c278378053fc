"""CAST, as documented.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions
"""

from decimal import Decimal as N
from typing import Any

RIGHT: list[tuple[str, Any]] = [
    ("CAST(1.0 AS STRING)", "1"),
    ("CAST(0.1 AS STRING)", "0.1"),
    ("CAST(123456789012345680.0 AS STRING)", "1.2345678901234568e+17"),
    ("CAST(1e20 AS STRING)", "1e+20"),
    ("CAST(TRUE AS STRING)", "true"),
    ("CAST('TRUE' AS BOOL)", True),
    ("CAST(2.5 AS INT64)", 3),
    ("CAST(-2.5 AS INT64)", -3),
    ("CAST(1.4 AS INT64)", 1),
    ("CAST('0x87a' AS INT64)", 2170),
    ("CAST(' 12 ' AS INT64)", 12),
    ("SAFE_CAST('12.7' AS INT64)", None),
    ("SAFE_CAST('apple' AS INT64)", None),
    ("SAFE_CAST('2020-13-01' AS DATE)", None),
    ("CAST(CAST('12.3456' AS NUMERIC) AS STRING)", "12.3456"),
    ("CAST('1.5' AS FLOAT64)", 1.5),
    ("CAST(NUMERIC '1.50' AS STRING)", "1.5"),
    ("CAST(2.5 AS NUMERIC)", N("2.5")),
    ("CAST(NUMERIC '2.5' AS INT64)", 3),
    ("CAST(b'abc' AS STRING)", "abc"),
    ("CAST('abc' AS BYTES)", b"abc"),
    ("CAST(TIMESTAMP '2020-06-02 23:57:12.12+00' AS STRING)", "2020-06-02 23:57:12.120+00"),
    ("CAST(TIMESTAMP '2020-06-02 23:57:12' AS STRING)", "2020-06-02 23:57:12+00"),
    ("CAST(DATETIME '2020-06-02 23:57:12' AS STRING)", "2020-06-02 23:57:12"),
    ("CAST(DATE '2020-06-02' AS STRING)", "2020-06-02"),
    ("CAST(CAST('2020-6-2' AS DATE) AS STRING)", "2020-06-02"),
    ("CAST(TIMESTAMP '2020-06-02 10:00:00+02' AS STRING)", "2020-06-02 08:00:00+00"),
    ("CAST(TIMESTAMP '2020-06-02 10:00:00 America/Los_Angeles' AS STRING)", "2020-06-02 17:00:00+00"),
    ("CAST(1 AS BOOL)", True),
    ("CAST(NULL AS INT64)", None),
    # beyond the plain cases
    ("CAST(-0.5 AS INT64)", -1),
    ("CAST(0.5 AS INT64)", 1),
    ("CAST('-0x1F' AS INT64)", -31),
    ("CAST('1e3' AS FLOAT64)", 1000.0),
    ("CAST(CAST('inf' AS FLOAT64) AS STRING)", "inf"),
    ("CAST(CAST('nan' AS FLOAT64) AS STRING)", "nan"),
    ("CAST(-0.0 AS STRING)", "0"),
    ("CAST(TRUE AS INT64)", 1),
    ("CAST('1.0000000005' AS NUMERIC)", N("1.000000001")),
    ("CAST(12.345 AS NUMERIC(4, 2))", N("12.35")),
    ("SAFE_CAST(b'\\xff' AS STRING)", None),
    ("STRING(CAST('2020-01-01 10:00:00' AS DATE))", "2020-01-01"),
    ("STRING(CAST('0001-01-01' AS DATE))", "0001-01-01"),
    ("STRING(CAST('9999-12-31' AS DATE))", "9999-12-31"),
    ("SAFE_CAST('24:00:00' AS TIME)", None),
    ("CAST(INTERVAL 14 MONTH AS STRING)", "1-2 0 0:0:0"),
    ("CAST(INTERVAL 90 MINUTE AS STRING)", "0-0 0 1:30:0"),
    ("CAST(DATE '2020-01-02' - DATE '2020-01-01' AS STRING)", "0-0 1 0:0:0"),
]

REFUSED: list[str] = [
    "CAST(DATE '2020-01-01' AS STRING FORMAT 'YYYY')",
    "PARSE_NUMERIC('1')",
    "CAST('abcdef' AS STRING(3))",
]

WRONG: list[tuple[str, str]] = [
    ("CAST('apple' AS INT64)", "Bad int64 value: apple"),
    ("CAST('9223372036854775808' AS INT64)", "Bad int64 value: 9223372036854775808"),
    ("CAST(1e19 AS INT64)", "int64 out of range: 1e+19"),
    ("CAST('x' AS FLOAT64)", "Bad double value: x"),
    ("CAST('x' AS BOOL)", "Bad bool value: x"),
    ("CAST('2020-02-30' AS DATE)", "Invalid date: '2020-02-30'"),
    ("CAST('10000-01-01' AS DATE)", "Invalid date: '10000-01-01'"),
    ("CAST('24:00:00' AS TIME)", 'Invalid time string "24:00:00"'),
    ("CAST('noon' AS TIMESTAMP)", "Invalid timestamp: 'noon'"),
    ("CAST(CURRENT_DATE() AS TIME)", "Invalid cast from DATE to TIME"),
    ("CAST(CURRENT_DATE() AS INT64)", "Invalid cast from DATE to INT64"),
    ("CAST(1 AS DATE)", "Invalid cast from INT64 to DATE"),
    ("SAFE_CAST(1 AS DATE)", "Invalid cast from INT64 to DATE"),
    ("CAST(1.5 AS BOOL)", "Invalid cast from FLOAT64 to BOOL"),
    ("CAST(1 AS BYTES)", "Invalid cast from INT64 to BYTES"),
    ("CAST(JSON '1' AS INT64)", "Invalid cast from JSON to INT64"),
    ("CAST(JSON '1' AS STRING)", "Invalid cast from JSON to STRING"),
]
