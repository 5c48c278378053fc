"""Functions that DuckDB calls in Python, row by row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Udf:
    """`takes` and `gives` are DuckDB types; NULL in is NULL out unless `nulls`."""

    call: Callable[..., Any]
    takes: tuple[str, ...]
    gives: str
    nulls: bool = False


class Fault(ValueError):
    """A row's error in Google's words, marked so that it is found in what DuckDB makes of it."""

    def __init__(self, message: str) -> None:
        super().__init__(f"BQ!{message}!QB")
