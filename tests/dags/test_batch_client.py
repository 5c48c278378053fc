"""The schema check of bin/run-batch.sh says the same as a full JSON Schema validator."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_client.schema import BadInput, check, problems, read_value

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 1, "maxLength": 3},
    {"type": ["string", "null"], "pattern": "^[a-z]+$"},
    {"type": "integer", "minimum": 1, "maximum": 10},
    {"type": "number", "minimum": 0},
    {"type": "string", "enum": ["a", "b"]},
    {"type": "array", "items": {"type": "string"}},
    {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[a-z]*$"}},
    {"type": ["object", "null"], "additionalProperties": False, "properties": {"a": {"type": "boolean"}}},
    {},
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.floats(-1, 1)
    | st.sampled_from(["", "a", "b", "Ab", "abcd"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "B"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.sampled_from(SCHEMAS), VALUES)
def test_it_agrees_with_jsonschema(schema: dict[str, Any], value: Any) -> None:
    if isinstance(value, float) and value.is_integer():
        return  # JSON Schema counts 1.0 among the integers; JSON texts that people write do not
    assert (problems("x", value, schema) == []) == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_all_problems_are_told_at_once_each_with_its_field() -> None:
    with pytest.raises(BadInput) as raised:
        check({"cout": 1, "count": "x"}, {"count": {"type": "integer"}})
    assert str(raised.value).splitlines() == [
        "cout: unknown field; did you mean count?",
        'count: "x" is no integer',
    ]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "7", "7"),
        ("integer", "7", 7),
        (["string", "null"], "null", None),
        ("array", '["a"]', ["a"]),
    ],
)
def test_text_is_read_as_its_schema_means_it(kind: Any, text: str, value: Any) -> None:
    assert read_value("x", text, {"x": {"type": kind}}) == value


def test_text_that_is_no_json_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="x: 'many' is no integer"):
        read_value("x", "many", {"x": {"type": "integer"}})
    assert json.dumps(read_value("y", "many", {})) == '"many"'
