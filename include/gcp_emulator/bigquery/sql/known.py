"""The white list: functions whose results are known to be BigQuery's. Every other one is refused by its name."""

from collections.abc import Mapping

# name -> fewest and most arguments of the macro _gsql.<name>
PLAIN: Mapping[str, tuple[int, int]] = {
    # numbers
    "ABS": (1, 1), "SIGN": (1, 1), "ROUND": (1, 3), "TRUNC": (1, 2), "CEIL": (1, 1), "CEILING": (1, 1),
    "FLOOR": (1, 1), "MOD": (2, 2), "DIV": (2, 2), "POW": (2, 2), "POWER": (2, 2), "SQRT": (1, 1), "CBRT": (1, 1),
    "EXP": (1, 1), "LN": (1, 1), "LOG": (1, 2), "LOG10": (1, 1), "SIN": (1, 1), "COS": (1, 1), "TAN": (1, 1),
    "ATAN": (1, 1), "ATAN2": (2, 2), "IS_NAN": (1, 1), "IS_INF": (1, 1), "IEEE_DIVIDE": (2, 2),
    "SAFE_DIVIDE": (2, 2), "SAFE_ADD": (2, 2), "SAFE_SUBTRACT": (2, 2), "SAFE_MULTIPLY": (2, 2),
    "SAFE_NEGATE": (1, 1), "BIT_COUNT": (1, 1),
    # strings
    "UPPER": (1, 1), "LOWER": (1, 1), "INITCAP": (1, 2), "LENGTH": (1, 1), "CHAR_LENGTH": (1, 1),
    "CHARACTER_LENGTH": (1, 1), "BYTE_LENGTH": (1, 1), "OCTET_LENGTH": (1, 1), "SUBSTR": (2, 3), "SUBSTRING": (2, 3),
    "LEFT": (2, 2), "RIGHT": (2, 2), "TRIM": (1, 2), "LTRIM": (1, 2), "RTRIM": (1, 2), "REPLACE": (3, 3),
    "REVERSE": (1, 1), "REPEAT": (2, 2), "LPAD": (2, 3), "RPAD": (2, 3), "STARTS_WITH": (2, 2), "ENDS_WITH": (2, 2),
    "STRPOS": (2, 2), "INSTR": (2, 4), "ASCII": (1, 1), "UNICODE": (1, 1), "CHR": (1, 1),
    "CODE_POINTS_TO_STRING": (1, 1), "TO_CODE_POINTS": (1, 1), "CONTAINS_SUBSTR": (2, 2), "EDIT_DISTANCE": (2, 2),
    "SPLIT": (1, 2), "REGEXP_CONTAINS": (2, 2), "REGEXP_REPLACE": (3, 3), "TO_HEX": (1, 1), "FROM_HEX": (1, 1),
    "TO_BASE64": (1, 1), "FROM_BASE64": (1, 1), "MD5": (1, 1), "SHA1": (1, 1), "SHA256": (1, 1), "SHA512": (1, 1),
    "SAFE_CONVERT_BYTES_TO_STRING": (1, 1), "GENERATE_UUID": (0, 0),
    # dates and times
    "DATE": (1, 3), "DATETIME": (1, 6), "TIMESTAMP": (1, 2), "TIME": (1, 3), "CURRENT_TIMESTAMP": (0, 0),
    "CURRENT_DATE": (0, 1), "CURRENT_DATETIME": (0, 1), "CURRENT_TIME": (0, 1), "UNIX_SECONDS": (1, 1),
    "UNIX_MILLIS": (1, 1), "UNIX_MICROS": (1, 1), "UNIX_DATE": (1, 1), "TIMESTAMP_SECONDS": (1, 1),
    "TIMESTAMP_MILLIS": (1, 1), "TIMESTAMP_MICROS": (1, 1), "DATE_FROM_UNIX_DATE": (1, 1),
    "FORMAT_TIMESTAMP": (2, 3), "FORMAT_DATE": (2, 2), "FORMAT_DATETIME": (2, 2), "FORMAT_TIME": (2, 2),
    "PARSE_TIMESTAMP": (2, 3), "PARSE_DATE": (2, 2), "PARSE_DATETIME": (2, 2), "PARSE_TIME": (2, 2),
    # JSON
    "JSON_VALUE": (1, 2), "JSON_EXTRACT_SCALAR": (1, 2), "JSON_QUERY": (1, 2), "JSON_EXTRACT": (1, 2),
    "JSON_QUERY_ARRAY": (1, 2), "JSON_EXTRACT_ARRAY": (1, 2), "JSON_VALUE_ARRAY": (1, 2),
    "JSON_EXTRACT_STRING_ARRAY": (1, 2), "PARSE_JSON": (1, 2), "TO_JSON": (1, 1), "TO_JSON_STRING": (1, 2),
    "JSON_TYPE": (1, 1), "STRING": (1, 2), "INT64": (1, 1), "FLOAT64": (1, 1), "BOOL": (1, 1),
    "LAX_STRING": (1, 1), "LAX_INT64": (1, 1), "LAX_FLOAT64": (1, 1), "LAX_BOOL": (1, 1),
    # arrays
    "ARRAY_LENGTH": (1, 1), "ARRAY_REVERSE": (1, 1), "ARRAY_TO_STRING": (2, 3), "GENERATE_ARRAY": (2, 3),
    "ARRAY_FIRST": (1, 1), "ARRAY_LAST": (1, 1),
}  # fmt: skip

MACRO: Mapping[str, str] = {
    "CEILING": "ceil",
    "POWER": "pow",
    "CHARACTER_LENGTH": "char_length",
    "OCTET_LENGTH": "byte_length",
    "SUBSTRING": "substr",
    "JSON_EXTRACT_SCALAR": "json_value",
    "JSON_EXTRACT": "json_query",
    "JSON_EXTRACT_ARRAY": "json_query_array",
    "JSON_EXTRACT_STRING_ARRAY": "json_value_array",
    "STRING": "string_of",
    "DATE": "date_of",
    "DATETIME": "datetime_of",
    "TIMESTAMP": "timestamp_of",
    "TIME": "time_of",
}

_TIMESTAMP, _ARRAY, _JSON = frozenset({"TIMESTAMP"}), frozenset({"ARRAY"}), frozenset({"JSON"})
# The place and the types of an argument that DuckDB would coerce from more
TAKES: Mapping[str, tuple[int, frozenset[str]]] = {
    "UNIX_SECONDS": (0, _TIMESTAMP), "UNIX_MILLIS": (0, _TIMESTAMP), "UNIX_MICROS": (0, _TIMESTAMP),
    "FORMAT_TIMESTAMP": (1, _TIMESTAMP), "TIME": (0, frozenset({"INTEGER", "TIMESTAMP", "DATETIME", "TIME"})),
    "ARRAY_LENGTH": (0, _ARRAY), "ARRAY_REVERSE": (0, _ARRAY), "ARRAY_FIRST": (0, _ARRAY), "ARRAY_LAST": (0, _ARRAY),
    "INT64": (0, _JSON), "FLOAT64": (0, _JSON), "BOOL": (0, _JSON), "JSON_TYPE": (0, _JSON), "LAX_INT64": (0, _JSON),
    "LAX_FLOAT64": (0, _JSON), "LAX_BOOL": (0, _JSON), "LAX_STRING": (0, _JSON),
    "STRING": (0, frozenset({"JSON", "DATE", "DATETIME", "TIME", "TIMESTAMP"})),
}  # fmt: skip

# Under SAFE. a failing function gives NULL: these have a way to, or cannot fail.
SAFE: Mapping[str, str] = {"PARSE_JSON": "safe_parse_json"}

AGGREGATES = frozenset(
    [
        "COUNT",
        "COUNTIF",
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "ARRAY_AGG",
        "ARRAY_CONCAT_AGG",
        "STRING_AGG",
        "ANY_VALUE",
        "LOGICAL_AND",
        "LOGICAL_OR",
        "APPROX_COUNT_DISTINCT",
        "APPROX_QUANTILES",
        "STDDEV",
        "STDDEV_SAMP",
        "STDDEV_POP",
        "VARIANCE",
        "VAR_SAMP",
        "VAR_POP",
        "CORR",
        "COVAR_POP",
        "COVAR_SAMP",
        "BIT_AND",
        "BIT_OR",
        "BIT_XOR",
        "MAX_BY",
        "MIN_BY",
    ]
)
NUMBERING = frozenset(["ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE"])
NAVIGATION = frozenset(
    ["LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "PERCENTILE_CONT", "PERCENTILE_DISC"]
)
