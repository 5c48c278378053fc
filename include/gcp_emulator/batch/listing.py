"""Lists of jobs and tasks: filters, order, pages, fast at the newest end of a long list."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.filters import check, matches, parse
from gcp_emulator.filters.grammar import And, Compare, Node, Not, Or
from gcp_emulator.filters.match import nanoseconds
from gcp_emulator.pages import make_token, page_size, read_token
from gcp_emulator.store import Store

ORDERS = ("", "name", "name desc", "create_time", "create_time desc")
CHUNK = 200  # rows read before other calls get a turn
CREATED = ("create_time", "createTime")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list request: parent, filter, order ("" is newest first), page."""

    parent: str
    text: str
    node: Node | None
    order: str
    size: int
    token: str

    @classmethod
    def read(cls, message_class: Any, parent: str, request: Any, order: str = "") -> "Wanted":
        """InvalidArgument where the filter, the order or the page is wrong."""
        order = " ".join(order.replace("createTime", "create_time").split()).removesuffix(" asc")
        if order not in ORDERS:
            raise InvalidArgument.field("order_by", f"'{order}' is none of {', '.join(filter(None, ORDERS))}")
        node = _with_aliases(parse(request.filter)) if request.filter.strip() else None
        if node is not None:
            check(node, message_class)
        return cls(parent, request.filter, node, order, page_size(request.page_size), request.page_token)

    @property
    def scope(self) -> tuple[str, ...]:
        return (self.parent, self.text, self.order)

    @property
    def since(self) -> int | None:
        """No job that was created before (ns since 1970) can be in the list."""
        parts = self.node.parts if isinstance(self.node, And) else (self.node,)
        bounds = [
            nanoseconds(part.value)
            for part in parts
            if isinstance(part, Compare)
            and part.path in (CREATED[:1], CREATED[1:])
            and part.operator in (">", ">=")
        ]
        return max(bounds, default=None)


async def list_page(
    store: Store, cls: Any, wanted: Wanted, current: Callable[[Any], Any], *, oldest_first: bool = False
) -> tuple[list[Any], str]:
    """One page and the token of the next; `current` gives the state of a stored message as it is now."""
    position = read_token(wanted.token, *wanted.scope)
    by_name = wanted.order.startswith("name")
    oldest_first = oldest_first or wanted.order == "create_time"
    since = wanted.since if not (by_name or oldest_first) else None
    found: list[Any] = []
    while True:
        if by_name:
            rows = store.page_by_name(
                cls, wanted.parent, position, CHUNK, descending=wanted.order.endswith("desc")
            )
        else:
            beyond = None if position is None else int(position)
            rows = store.page(cls, wanted.parent, beyond=beyond, limit=CHUNK, oldest_first=oldest_first)
        for number, stored in rows:
            if since is not None and stored.create_time.ToNanoseconds() < since:
                return found, ""
            message = current(stored)
            if wanted.node is not None and not matches(wanted.node, message):
                continue
            if len(found) == wanted.size:
                return found, make_token(position or "", *wanted.scope)
            found.append(message)
            position = stored.name if by_name else str(number)
        if len(rows) < CHUNK:
            return found, ""
        position = rows[-1][1].name if by_name else str(rows[-1][0])
        await asyncio.sleep(0)


def _with_aliases(node: Node) -> Node:
    """`State=RUNNING` means the status' state: the form in which Batch documents a filter of tasks."""
    match node:
        case And(parts):
            return And(tuple(map(_with_aliases, parts)))
        case Or(parts):
            return Or(tuple(map(_with_aliases, parts)))
        case Not(part):
            return Not(_with_aliases(part))
        case Compare((name,)) if name.lower() == "state":
            return replace(node, path=("status", "state"))
    return node
