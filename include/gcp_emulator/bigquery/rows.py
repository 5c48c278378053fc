"""Rows as the REST answers have them: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list."""

import base64
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.types import Field

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
PAGE = 50_000  # rows, where the caller does not say


def row(values: Iterable[Any], fields: Sequence[Field], *, int_timestamps: bool) -> dict[str, Any]:
    cells = zip(values, fields, strict=True)
    return {"f": [{"v": cell(value, field, int_timestamps)} for value, field in cells]}


def cell(value: Any, field: Mapping[str, Any], int_timestamps: bool) -> Any:
    """A Python value as DuckDB gives it; all scalars are strings, an array is never null."""
    if field.get("mode") == "REPEATED":
        one = {**field, "mode": "NULLABLE"}
        return [{"v": cell(each, one, int_timestamps)} for each in value or ()]
    if value is None:
        return None
    kind = field["type"]
    if kind == "RECORD":
        children = field["fields"]
        return row((value[f["name"]] for f in children), children, int_timestamps=int_timestamps)
    if kind == "TIMESTAMP":
        microseconds = (value - EPOCH) // MICROSECOND
        return str(microseconds) if int_timestamps else repr(microseconds / 1e6)
    return SCALARS.get(kind, str)(value)


def number(value: Any) -> str:
    """An exact number without the zeros that its column's scale adds."""
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def floating(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def interval(value: datetime.timedelta) -> str:
    """Refused: its months have become days on the way out of DuckDB."""
    raise errors.unsupported("INTERVALs in a result (but as text, or in arithmetic)")


SCALARS = {
    "BOOLEAN": lambda value: "true" if value else "false",
    "BYTES": lambda value: base64.b64encode(bytes(value)).decode(),
    "DATETIME": lambda value: value.isoformat(),
    "FLOAT": floating,
    "INTEGER": lambda value: str(int(value)),
    "INTERVAL": interval,
    "NUMERIC": number,
    "BIGNUMERIC": number,
}
