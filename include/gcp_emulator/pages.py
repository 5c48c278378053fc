"""Pages of a list: size limits as Google has them, and tokens that only fit the request they came from."""

import base64
import binascii
import hashlib
from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.store import Store

DEFAULT_SIZE = 100
MAX_SIZE = 1000


def page_size(wanted: int, default: int = DEFAULT_SIZE, maximum: int = MAX_SIZE) -> int:
    if wanted < 0:
        raise InvalidArgument.field("page_size", "must not be negative")
    return min(wanted or default, maximum)


def make_token(position: int | str, *scope: object) -> str:
    text = f"{position}.{_digest(scope)}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_token(token: str, *scope: object) -> str | None:
    """The position in a token, None without one; InvalidArgument when it belongs to another list."""
    if not token:
        return None
    try:
        position, _, digest = base64.urlsafe_b64decode(token.encode()).decode().rpartition(".")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidArgument.field("page_token", "is not a token that this service gave") from error
    if digest != _digest(scope):
        raise InvalidArgument.field("page_token", "belongs to a list with other parameters")
    return position


def list_page(
    store: Store, cls: Any, parent: str, request: Any, *, deleted: bool = False, oldest_first: bool = False
) -> tuple[list[Any], str]:
    """One page of a parent's resources, newest first by default, and the token of the next ("" at the end)."""
    size = page_size(request.page_size)
    scope = (cls.DESCRIPTOR.full_name, parent, deleted)
    position = read_token(request.page_token, *scope)
    rows = store.page(
        cls,
        parent,
        beyond=None if position is None else int(position),
        limit=size + 1,
        deleted=deleted,
        oldest_first=oldest_first,
    )
    token = make_token(rows[size - 1][0], *scope) if len(rows) > size else ""
    return [message for _, message in rows[:size]], token


def _digest(scope: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(scope).encode()).hexdigest()[:12]
