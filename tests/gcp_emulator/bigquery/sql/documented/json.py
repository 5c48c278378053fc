"""JSON, as documented.

https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions
"""

from typing import Any

RIGHT: list[tuple[str, Any]] = [
    ('JSON_VALUE(\'{"name":"Jakob","age":"6"}\', \'$.age\')', "6"),
    ("JSON_VALUE('{\"a\":{\"b\":1}}', '$.a')", None),
    ("JSON_VALUE('no JSON', '$.a')", None),
    ("JSON_VALUE(JSON '{\"a\": [10, {\"b\": true}]}', '$.a[1].b')", "true"),
    (
        'JSON_QUERY(\'{"class":{"students":[{"name":"Jane"}]}}\', \'$.class\')',
        '{"students":[{"name":"Jane"}]}',
    ),
    ("JSON_QUERY('{\"a\":null}', '$.a')", None),
    ("JSON_QUERY_ARRAY('{\"a\":[1,\"x\"]}', '$.a')", ["1", '"x"']),
    ('JSON_VALUE_ARRAY(\'["apples","oranges"]\')', ["apples", "oranges"]),
    ("JSON_TYPE(JSON '\"x\"')", "string"),
    ("JSON_TYPE(JSON '10')", "number"),
    ("STRING(JSON '\"purple\"')", "purple"),
    ("INT64(JSON '2005')", 2005),
    ("BOOL(JSON 'true')", True),
    ("FLOAT64(JSON '9.8')", 9.8),
    ("LAX_INT64(JSON '\"10\"')", 10),
    ("LAX_STRING(JSON '10')", "10"),
    ("TO_JSON_STRING(STRUCT(1 AS id, [10, 20] AS c))", '{"id":1,"c":[10,20]}'),
    ("TO_JSON_STRING(DATE '2020-01-01')", '"2020-01-01"'),
    ("TO_JSON_STRING(TIMESTAMP '2020-01-01 10:00:00+00')", '"2020-01-01T10:00:00Z"'),
    ("TO_JSON_STRING('a\"b')", '"a\\"b"'),
    ("TO_JSON_STRING(9007199254740993)", '"9007199254740993"'),
    ("TO_JSON_STRING(b'abc')", '"YWJj"'),
    ("TO_JSON_STRING(CAST(NULL AS INT64))", "null"),
    ("JSON '{\"a\": {\"b\": 3}}'['a']['b']", "3"),
    ("SAFE.PARSE_JSON('{')", None),
    ("PARSE_JSON('12345678901234567890123', wide_number_mode => 'round')", "1.2345678901234568e+22"),
    # beyond the plain cases
    ('JSON_VALUE(\'{"a.b": {"c": "world"}}\', "$[\'a.b\'].c")', "world"),
    ('JSON_VALUE(\'{"a.b": {"c": "world"}}\', \'$."a.b".c\')', "world"),
    ("JSON_VALUE('{\"a\": 1.0}', '$.a')", "1.0"),
    ("JSON_VALUE('NaN')", None),
    ("JSON_QUERY(JSON '{\"a\": null}', '$.a')", "null"),
    ("JSON_QUERY(JSON '{\"a\": null}', '$.b')", None),
    ("JSON_VALUE_ARRAY('[1, [2]]')", None),
    ("JSON_VALUE_ARRAY('{\"a\": []}', '$.a')", []),
    ("JSON_TYPE(JSON 'null')", "null"),
    ("TO_JSON_STRING(CAST('nan' AS FLOAT64))", '"NaN"'),
    ("TO_JSON_STRING([1.0, 2.5])", "[1,2.5]"),
    ("TO_JSON_STRING(NUMERIC '1.50')", "1.5"),
    ("INT64(JSON '10.0')", 10),
    ("LAX_INT64(JSON '3.5')", 4),
    ("LAX_INT64(JSON '1.1e2')", 110),
    ("LAX_INT64(JSON '1e100')", None),
    ("LAX_INT64(JSON 'true')", 1),
    ("LAX_INT64(JSON '\"1.1e2\"')", 110),
    ("LAX_INT64(JSON '\"+1.5\"')", 2),
    ("LAX_INT64(JSON '\"1e100\"')", None),
    ("LAX_INT64(JSON '\"foo\"')", None),
    ("LAX_FLOAT64(JSON '\"1.1e2\"')", 110.0),
    ("IS_NAN(LAX_FLOAT64(JSON '\"NaN\"'))", True),
    ("LAX_FLOAT64(JSON 'true')", None),
    ("LAX_BOOL(JSON '\"TRUE\"')", True),
    ("LAX_BOOL(JSON '0')", False),
    ("LAX_STRING(JSON '{}')", None),
    ("LAX_STRING(JSON 'true')", "true"),
]

REFUSED: list[str] = [
    "JSON_SET(JSON '{}', '$.a', 1)",
    "JSON_STRIP_NULLS(JSON '{}')",
    'PARSE_JSON(\'{"a": 1, "a": 2}\')',
    'SAFE.PARSE_JSON(\'{"a": 1, "a": 2}\')',
    "JSON_KEYS(JSON '{}')",
    "JSON_OBJECT('a', 1)",
    "TO_JSON_STRING(INTERVAL 1 DAY)",
]

WRONG: list[tuple[str, str]] = [
    ("STRING(JSON '10')", "The provided JSON input is not a string"),
    ("STRING(JSON 'null')", "The provided JSON input is not a string"),
    ("INT64(JSON '10.5')", "The provided JSON input is not an integer"),
    ("BOOL(JSON '\"true\"')", "The provided JSON input is not a boolean"),
    ("PARSE_JSON('{')", "Invalid input to PARSE_JSON"),
    ("PARSE_JSON('NaN')", "Invalid input to PARSE_JSON"),
    ("PARSE_JSON('12345678901234567890123')", "does not fit a FLOAT64"),
    ("JSON_VALUE('{}', 'a')", "JSONPath must start with '$'"),
    ("JSON_VALUE('{}', '$..a')", "Invalid token in JSONPath"),
]
