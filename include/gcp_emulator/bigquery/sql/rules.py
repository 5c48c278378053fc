"""What the types of an expression's operands must be, with Google's words for those that are not.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules and
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_properties
"""

from collections.abc import Mapping, Sequence

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql.coercion import DAYS, NUMBERS, WRITTEN, Operand, Rule, alike, common

CLAUSES = frozenset({"WHERE", "HAVING", "QUALIFY", "ON"})
EQUALITIES = frozenset({"=", "!=", "IN", "NULLIF", "IS DISTINCT FROM"})
EQUAL = {"=": "Equality", "!=": "Inequality", "<": "Less than", "<=": "Less than", "IN": "Equality"}
NUMERICS = NUMBERS | {"STRING"}
MOMENTS = frozenset({"STRING", "DATETIME", "TIMESTAMP"})
CAST: Mapping[str, frozenset[str]] = {
    "INT64": NUMERICS | {"BOOLEAN"},
    "FLOAT64": NUMERICS,
    "NUMERIC": NUMERICS,
    "BIGNUMERIC": NUMERICS,
    "BOOL": frozenset({"BOOLEAN", "INTEGER", "STRING"}),
    "STRING": NUMERICS | DAYS | {"BOOLEAN", "BYTES", "TIME", "TIMESTAMP", "INTERVAL"},
    "BYTES": frozenset({"STRING", "BYTES"}),
    "DATE": MOMENTS | {"DATE"},
    "DATETIME": MOMENTS | {"DATE"},
    "TIMESTAMP": MOMENTS | {"DATE"},
    "TIME": MOMENTS | {"TIME"},
}


def castable(name: str) -> Rule:
    """A type that CAST takes to `name`."""

    def rule(operands: Sequence[Operand]) -> None:
        for each in operands:
            if each.kind and each.kind not in CAST.get(name, ()):
                raise invalid_query(f"Invalid cast from {each.told} to {name}")

    return rule


def told(operands: Sequence[Operand]) -> str:
    return ", ".join(each.told for each in operands)


def signature(name: str) -> Rule:
    """All arguments of one type."""

    def rule(operands: Sequence[Operand]) -> None:
        if not common(operands):
            raise invalid_query(f"No matching signature for {name} for argument types: {told(operands)}")

    return rule


def comparison(sign: str) -> Rule:
    """As `signature`, and of a type that has this order or equality."""

    def rule(operands: Sequence[Operand]) -> None:
        if not common(operands):
            words = f"{operands[0].told} and {{{told(operands[1:])}}}" if sign == "IN" else told(operands)
            between = "argument types" if sign == "IN" else "argument types:"
            raise invalid_query(f"No matching signature for operator {sign} for {between} {words}")
        for each in operands:
            if each.kind in ("ARRAY", "JSON") or (each.kind == "RECORD" and sign not in EQUALITIES):
                word = EQUAL.get(sign, f"Operator {sign}")
                raise invalid_query(f"{word} is not defined for arguments of type {each.told}")
            if (
                each.kind == "RECORD" and sign != "IS DISTINCT FROM"
            ):  # DuckDB's NULLs are equal within a STRUCT
                raise unsupported(f"STRUCTs with {sign} but (a, b) = (c, d) and (a, b) IN ((c, d), ..)")

    return rule


def condition(clause: str) -> Rule:
    """A BOOL."""

    def rule(operands: Sequence[Operand]) -> None:
        for each in operands:
            if each.kind not in ("", "BOOLEAN"):
                if clause in CLAUSES:
                    raise invalid_query(f"{clause} clause should return type BOOL, but returns {each.told}")
                raise invalid_query(
                    f"No matching signature for {clause} for argument types: {told(operands)}"
                )

    return rule


def elements(operands: Sequence[Operand]) -> None:
    """An array's."""
    if any(each.kind == "ARRAY" for each in operands):
        raise invalid_query(
            "Cannot construct array with element type ARRAY because nested arrays are not supported"
        )
    if not common(operands):
        raise invalid_query(f"Array elements of types {{{told(operands)}}} do not have a common supertype")


def arms(operands: Sequence[Operand]) -> None:
    """What CASE gives."""
    if not common(operands):
        raise invalid_query(
            "No matching signature for operator CASE; all THEN/ELSE arguments must be coercible to a common type "
            f"but found: {told(operands)}"
        )


def of_kinds(name: str, kinds: frozenset[str]) -> Rule:
    """Each argument of one of these types."""

    def rule(operands: Sequence[Operand]) -> None:
        if any(each.kind and each.kind not in kinds and not _literal(each, kinds) for each in operands):
            raise invalid_query(f"No matching signature for {name} for argument types: {told(operands)}")

    return rule


def _literal(each: Operand, kinds: frozenset[str]) -> bool:
    return each.written is not None and not kinds.isdisjoint(WRITTEN)


def no_array(name: str) -> Rule:
    """What an array may be made of."""

    def rule(operands: Sequence[Operand]) -> None:
        if any(each.kind == "ARRAY" for each in operands):
            raise invalid_query(
                f"The argument to {name} must not be an array type but was {operands[0].told}"
            )

    return rule


def concatenated(operands: Sequence[Operand]) -> None:
    """CONCAT's: BYTES alone, or none."""
    kinds = {each.kind for each in operands} - {""}
    if "BYTES" in kinds and len(kinds) > 1:
        raise invalid_query(f"No matching signature for function CONCAT for argument types: {told(operands)}")


def zoned(name: str) -> Rule:
    """A TIMESTAMP beside a time zone."""

    def rule(operands: Sequence[Operand]) -> None:
        moment, zone = operands
        if zone.kind in ("", "STRING") and moment.kind not in ("", "TIMESTAMP") and moment.written is None:
            raise invalid_query(f"No matching signature for {name} for argument types: {told(operands)}")

    return rule


def indexed(operands: Sequence[Operand]) -> None:
    """An array or a JSON, and a place in it."""
    array, index = operands
    if array.kind not in ("", "ARRAY", "JSON") or index.kind not in ("", "INTEGER"):
        raise invalid_query(f"No matching signature for operator [] for argument types: {told(operands)}")


def subtracted(operands: Sequence[Operand]) -> None:
    """Moments have a distance only from moments of their own type."""
    kinds = {each.kind for each in operands}
    if len(kinds) > 1 and kinds <= MOMENTS | {"DATE", "TIME"} and "" not in kinds:
        raise invalid_query(f"No matching signature for operator - for argument types: {told(operands)}")


def apart(operands: Sequence[Operand]) -> None:
    """PARTITION BY's."""
    for each in operands:
        if each.kind in ("JSON", "ARRAY", "FLOAT"):
            raise invalid_query(f"Partitioning by expressions of type {each.told} is not allowed")


def told_apart(operands: Sequence[Operand]) -> None:
    """An aggregate's with DISTINCT."""
    for each in operands:
        if each.kind in ("JSON", "ARRAY"):
            raise invalid_query(
                f"Aggregate functions with DISTINCT cannot be used with arguments of type {each.told}"
            )


def sorted_by(operands: Sequence[Operand]) -> None:
    """ORDER BY's keys."""
    for each in operands:
        if each.kind in ("ARRAY", "RECORD", "JSON"):
            raise invalid_query(f"ORDER BY does not support expressions of type {each.told}")


def grouped_by(operands: Sequence[Operand]) -> None:
    """GROUP BY's, PARTITION BY's and DISTINCT's."""
    for each in operands:
        if each.kind == "JSON":
            raise invalid_query("Grouping by expressions of type JSON is not allowed")


def joined_by(operands: Sequence[Operand]) -> None:
    """Columns of USING."""
    comparison("=")(operands)
    if any(each.kind == "FLOAT" for each in operands):
        raise unsupported("JOIN USING a FLOAT64 column (ON does)")


def columns(word: str, sides: Sequence[Sequence[Operand]]) -> None:
    """Of a set operation."""
    if len(sides[0]) != len(sides[1]):
        counted = [
            f"query {at} has {len(side)} column{'s'[: len(side) != 1]}" for at, side in enumerate(sides, 1)
        ]
        raise invalid_query(f"Queries in {word} have mismatched column count; {', '.join(counted)}")
    for at, pair in enumerate(zip(*sides, strict=True), 1):
        fields = [each.field for each in pair if each.field]
        if len(fields) == 2 and not alike(fields[0], fields[1]):
            raise invalid_query(f"Column {at} in {word} has incompatible types: {told(pair)}")
        for each in pair:
            if each.kind == "JSON" and word != "UNION ALL":
                raise invalid_query(
                    f"Column {at} in {word} has type that does not support set operation comparisons: JSON"
                )
