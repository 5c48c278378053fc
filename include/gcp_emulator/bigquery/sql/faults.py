"""What DuckDB says of a translated statement, in BigQuery's words."""

import re
from collections.abc import Mapping, Sequence

from gcp_emulator.bigquery import errors
from gcp_emulator.json_api import Refusal

OURS = re.compile(r"BQ!(.*?)!QB", re.DOTALL)
SIGNS = {"addition": "+", "subtraction": "-", "multiplication": "*"}
OVERFLOW = re.compile(r"Overflow in (addition|subtraction|multiplication) of INT\d+ \((-?\d+) . (-?\d+)\)")
NO_COLUMN = re.compile(
    r'Referenced column "([^"]+)" not found|Referenced table "([^"]+)" not found|'
    r'(?:Table|Values list) "[^"]+" does not have a column named "([^"]+)"|'
    r'Column "([^"]+)" referenced that exists in the SELECT clause|'
    r'Could not find key "([^"]+)" in struct'
)
GROUPED = re.compile(r'column "?([^"\s]+)"? must appear in the GROUP BY clause')


def from_duckdb(
    error: Exception,
    places: Mapping[str, tuple[int, int]] | None = None,
    unbound: Sequence[Exception] = (),
) -> Refusal:
    """`places` tells line and column of the names in the statement, `unbound` what was said of its parts."""
    text = str(error)
    if found := OURS.search(text):
        return errors.invalid_query(found[1])
    if found := OVERFLOW.search(text):
        return errors.invalid_query(f"int64 overflow: {found[2]} {SIGNS[found[1]]} {found[3]}")
    if found := NO_COLUMN.search(text):
        name = next(part for part in found.groups() if part)
        return errors.invalid_query(f"Unrecognized name: {name}{_at(name, places)}")
    if found := GROUPED.search(text):
        wording = "SELECT list expression references column {0} which is neither grouped nor aggregated"
        return errors.invalid_query(wording.format(found[1]) + _at(found[1], places))
    if found := re.search(r'Ambiguous reference to column name "([^"]+)"', text):
        return errors.invalid_query(f"Column name {found[1]} is ambiguous{_at(found[1], places)}")
    if "affect the same target row more than once" in text:
        return errors.invalid_query("UPDATE/MERGE must match at most one source row for each target row")
    if "More than one row returned by a subquery" in text:
        return errors.invalid_query("Scalar subquery produced more than one element")
    if found := re.search(r'Macro "?(\w+)"?\(\) (?:does not support|has multiple overloads)', text):
        return _unmatched(found[1], places, unbound)
    return errors.from_duckdb(error)


def _unmatched(
    macro: str, places: Mapping[str, tuple[int, int]] | None, unbound: Sequence[Exception]
) -> Refusal:
    """For a macro that takes no such arguments; where one is a name that is missing, it does not say so."""
    missing = next((part for part in unbound if NO_COLUMN.search(str(part))), None)
    if missing is not None:
        return from_duckdb(missing, places)
    return errors.invalid_query(f"No matching signature for {_function(macro)}")


def _function(macro: str) -> str:
    operators = {"plus": "operator +", "minus": "operator -", "times": "operator *", "over": "operator /",
                 "eq": "operator =", "ne": "operator !=", "lt": "operator <", "le": "operator <=",
                 "joined": "operator ||", "negated": "operator -"}  # fmt: skip
    return operators.get(macro, f"function {macro.upper()}")


def _at(name: str, places: Mapping[str, tuple[int, int]] | None) -> str:
    place = (places or {}).get(name.lower())
    return f" at [{place[0]}:{place[1]}]" if place else ""
