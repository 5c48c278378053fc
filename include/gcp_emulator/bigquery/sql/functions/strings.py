"""Strings and bytes where DuckDB's own functions differ from Google's."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from gcp_emulator.bigquery.sql.functions.printf import formatted
from gcp_emulator.bigquery.sql.functions.udf import Fault, Udf

WORD_ENDS = ' \t\n\r\f\v[](){}/|<>!?@"^#$&~_,.:;*%+-'


def _initcap(text: str | None, delimiters: str | None) -> str | None:
    if text is None:
        return None
    ends, made, first = WORD_ENDS if delimiters is None else delimiters, [], True
    for letter in text:
        made.append(letter.upper() if first else letter.lower())
        first = letter in ends
    return "".join(made)


def _bounds(size: int, position: int, length: int) -> slice:
    """From position (1 is the first, negative from the end, before the start is the start)."""
    if length < 0:
        raise Fault("Third argument in SUBSTR() cannot be negative")
    start = position - 1 if position > 0 else max(size + position, 0) if position < 0 else 0
    return slice(start, min(start + length, size) if start < size else start)


def _substr(text: str, position: int, length: int) -> str:
    return text[_bounds(len(text), position, length)]


def _substr_bytes(data: bytes, position: int, length: int) -> bytes:
    return data[_bounds(len(data), position, length)]


def _trim(text: str | None, letters: str | None, side: str) -> str | None:
    if text is None:
        return None
    if letters == "":
        return text
    left = text.lstrip(letters) if side in "bl" else text
    return left.rstrip(letters) if side in "br" else left


def _pad(text: str, length: int, pattern: str, side: str) -> str:
    name = "LPAD" if side == "l" else "RPAD"
    if length < 0:
        raise Fault(f"Second argument in {name}() cannot be negative")
    if not pattern:
        raise Fault(f"Third argument in {name}() cannot be empty")
    missing = max(length - len(text), 0)
    filled = (pattern * (missing // len(pattern) + 1))[:missing]
    return (filled + text[:length]) if side == "l" else (text[:length] + filled)


def _instr(text: str, part: str, position: int, occurrence: int) -> int:
    if position == 0 or occurrence < 1:
        raise Fault("INSTR: position must not be 0 and occurrence must be positive")
    if not part:
        raise Fault("INSTR of an empty string is not supported by the emulator")
    starts = [at for at in range(len(text)) if text.startswith(part, at)]
    if position > 0:
        found = [at for at in starts if at >= position - 1]
    else:
        found = [at for at in reversed(starts) if at <= len(text) + position]
    return found[occurrence - 1] + 1 if len(found) >= occurrence else 0


def _normalize(text: str, form: str, fold: bool) -> str:
    if form not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise Fault(f"{form} is not a valid normalization mode")
    made = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return unicodedata.normalize(form, made.casefold()) if fold else made  # type: ignore[arg-type]


def _edit_distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for at, letter in enumerate(left, 1):
        diagonal, row[0] = row[0], at
        for column, other in enumerate(right, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (letter != other)),
            )
    return row[-1]


def _safe_decode(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def groups(pattern: str) -> int:
    """How many groups a RE2 pattern captures."""
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return len(re.findall(r"\((?!\?)|\(\?P?<", plain))


def _format(template: str | None, kinds: Sequence[str], values: Sequence[str | None]) -> str | None:
    return None if template is None else formatted(template, kinds, values)


def _join(items: Sequence[str | None] | None, separator: str | None, missing: str | None) -> str | None:
    if items is None or separator is None:
        return None
    named = [missing if item is None else item for item in items]
    return separator.join(item for item in named if item is not None)


FUNCTIONS = {
    "join": Udf(_join, ("VARCHAR[]", "VARCHAR", "VARCHAR"), "VARCHAR", nulls=True),
    "initcap": Udf(_initcap, ("VARCHAR", "VARCHAR"), "VARCHAR", nulls=True),
    "substr": Udf(_substr, ("VARCHAR", "BIGINT", "BIGINT"), "VARCHAR"),
    "substr_bytes": Udf(_substr_bytes, ("BLOB", "BIGINT", "BIGINT"), "BLOB"),
    "trim": Udf(_trim, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR", nulls=True),
    "pad": Udf(_pad, ("VARCHAR", "BIGINT", "VARCHAR", "VARCHAR"), "VARCHAR"),
    "instr": Udf(_instr, ("VARCHAR", "VARCHAR", "BIGINT", "BIGINT"), "BIGINT"),
    "upper": Udf(str.upper, ("VARCHAR",), "VARCHAR"),
    "lower": Udf(str.lower, ("VARCHAR",), "VARCHAR"),
    "reverse": Udf(lambda text: text[::-1], ("VARCHAR",), "VARCHAR"),
    "characters": Udf(list, ("VARCHAR",), "VARCHAR[]"),
    "code_points": Udf(lambda text: [ord(letter) for letter in text], ("VARCHAR",), "BIGINT[]"),
    "normalize": Udf(_normalize, ("VARCHAR", "VARCHAR", "BOOLEAN"), "VARCHAR"),
    "edit_distance": Udf(_edit_distance, ("VARCHAR", "VARCHAR"), "BIGINT"),
    "sha512": Udf(lambda data: hashlib.sha512(data).digest(), ("BLOB",), "BLOB"),
    "safe_decode": Udf(_safe_decode, ("BLOB",), "VARCHAR"),
    "lossy_decode": Udf(lambda data: data.decode(errors="replace"), ("BLOB",), "VARCHAR"),
    "format": Udf(_format, ("VARCHAR", "VARCHAR[]", "VARCHAR[]"), "VARCHAR", nulls=True),
}
