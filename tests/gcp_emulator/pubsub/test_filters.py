"""Filters decide which notifications a subscription gets; Google's documentation has these cases."""

import pytest

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.pubsub import filters

ATTRIBUTES = {
    "name": "com",
    "region": "us-east1",
    "iana.org/language_tag": "en",
    "みんな": "x",
    "AND": "y",
    "a-b": "",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("attributes:name", True),
        ("attributes:missing", False),
        ("NOT attributes:missing", True),
        ("-attributes:name", False),
        ("NOT -attributes:name", True),
        ('attributes.name = "com"', True),
        ("attributes.name='com'", True),
        ('attributes.name = "COM"', False),
        ('attributes.missing = ""', False),
        ('attributes.name != "com"', False),
        ('attributes.missing != "com"', True),  # a message without the attribute has not that value
        ('attributes."iana.org/language_tag" = "en"', True),
        (r'attributes:"\u307F\u3093\u306A"', True),
        (r'attributes.name = "\x63\157m"', True),
        (r'attributes.name = "c\"om"', False),
        ("attributes:a-b", True),
        ('attributes.AND = "y"', True),
        ('hasPrefix(attributes.region, "us-")', True),
        ('hasPrefix(attributes.missing, "")', False),
        ('NOT hasPrefix(attributes.region, "eu")', True),
        ('attributes:name AND attributes.region = "eu"', False),
        ('attributes:name OR attributes.region = "eu"', True),
        ("attributes:name AND attributes:region AND attributes:missing", False),
        ('attributes:missing OR (attributes.name = "com" AND NOT attributes:missing)', True),
        ("NOT attributes:missing AND attributes:name", True),
        ("NOT (attributes:missing OR attributes:name)", False),
        ("((attributes:name))", True),
    ],
)
def test_what_a_filter_lets_through(text, expected):
    assert filters.read(text)(ATTRIBUTES) is expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("attributes:a AND attributes:b OR attributes:c", "parentheses"),
        ("attributes:a OR attributes:b AND attributes:c", "parentheses"),
        ('"com" = attributes.name', "column 1"),
        ("attributes.name = attributes.website", "column 19"),
        ('attributes.name = "com" AND ("net" OR "org")', "column 30"),
        ("attributes:a and attributes:b", "before 'and"),
        (r"attributes:\u307F", "column 12"),
        ('attributes.name = "com', "column 19"),
        (r'attributes.name = "\q"', "column 19"),
        (r'attributes.name = "\U00110000"', "Invalid filter"),
        ('data = "x"', "column 1"),
        ("attributes:name AND", "at its end"),
        ("   ", "Invalid filter"),
        ("attributes:" + "k" * 246, "257 bytes"),
        ('attributes:"' + "é" * 130 + '"', "bytes"),
    ],
)
def test_a_wrong_filter_is_refused_at_its_place(text, says):
    """Google's own emulator takes anything here, and the mistake shows in production."""
    with pytest.raises(InvalidArgument, match="Invalid filter") as refused:
        filters.read(text)
    assert says in refused.value.message
