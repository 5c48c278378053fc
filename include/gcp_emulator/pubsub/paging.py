"""Pages of names, in alphabetical order."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from gcp_emulator.pages import make_token, page_size, read_token


def page(names: Sequence[str], request: Any, *scope: object) -> tuple[Sequence[str], str]:
    """One page of sorted names, and the token of the next ("" at the end)."""
    size = page_size(request.page_size)
    last = read_token(request.page_token, *scope)
    start = bisect_right(names, last) if last is not None else 0
    found = names[start : start + size]
    more = start + size < len(names)
    return found, make_token(found[-1], *scope) if more else ""
