"""The ways in which the API misbehaves on request, by name.

A fault is written `name` or `name-number` and stands in the path (`/faults/<fault>/v1/breeds`) or applies to
the whole server (`--fault`). For the faults that answer instead of the API, the number says how many requests
are spoilt before all is well again; without it every request is.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate

from breeds_api.records import Records

HTML = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon.</body></html>\n"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `limit` None: everything as one array."""

    limit: int | None
    page: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. `body` None: stream all records. `cut`: announce the body, send half, hang up.

    `reset`: hang up without a word. `delay_s`: wait before the answer.
    """

    status: int = 200
    body: bytes | None = b"[]"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False
    delay_s: float = 0.0


def plain(records: Records, request: Request, *, cap: int | None = None) -> Answer:
    """The well-behaved answer; `cap` is the largest limit that the API grants."""
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    if request.limit is None:
        return Answer(body=None, headers=json_type)
    limit = min(request.limit, cap) if cap else request.limit
    start = request.page * limit
    paging = {
        "Pagination-Count": str(records.total),
        "Pagination-Page": str(request.page),
        "Pagination-Limit": str(limit),
    }
    return Answer(body=records.array(start, start + limit), headers=json_type | paging)


def _json(body: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def _bare(answer: Answer) -> Answer:
    return replace(answer, headers={"Content-Type": "application/json"})


def _mixed(bad: int) -> Answer:
    """Ten records of which `bad` (at most 5) cannot be used."""
    wrong = [None, "Poodle", {"name": "No Id"}, {"id": "17", "name": "Text Id"}, {"id": True}]
    good = [{"id": n, "name": f"Breed {n}"} for n in range(1, 11 - bad)]
    return _json([*wrong[:bad], *good])


# Answers instead of the API.
SPOILT: dict[str, Callable[[], Answer]] = {
    "500": lambda: _json({"message": "internal error"}, 500),
    "503": lambda: Answer(503, HTML, {"Content-Type": "text/html"}),
    "429": lambda: _json({"message": "too many requests"}, 429, **{"Retry-After": "1"}),
    "429date": lambda: _json(
        {"message": "too many requests"}, 429, **{"Retry-After": formatdate(time.time() + 2, usegmt=True)}
    ),
    "429day": lambda: _json({"message": "too many requests"}, 429, **{"Retry-After": "86400"}),
    "404": lambda: _json({"message": "not found"}, 404),
    "reset": lambda: Answer(reset=True),
    "truncated": lambda: Answer(
        body=b'[{"id": 1, "name": "Half a', headers={"Content-Type": "application/json"}
    ),
    "html": lambda: Answer(body=HTML, headers={"Content-Type": "text/html; charset=utf-8"}),
    "empty": lambda: _json([]),
    "object": lambda: _json({"message": "please upgrade to v2"}),
    "scalar": lambda: _json(42),
    "blank": lambda: Answer(body=b"", headers={"Content-Type": "application/json"}),
    "redirect": lambda: Answer(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
    "one-bad": lambda: _mixed(1),
    "half-bad": lambda: _mixed(5),
    "nan": lambda: Answer(
        body=b'[{"id": 1, "name": "A"}, {"id": 2, "weight": NaN}, {"id": 3, "name": "C"}]',
        headers={"Content-Type": "application/json"},
    ),
}
# Bend the API's own answer; the number means what the comment says.
BENT: dict[str, Callable[[Records, Request, float], Answer]] = {
    "first-page": lambda r, q, _: _bare(plain(r, replace(q, page=0))),  # whatever page was asked for
    "no-paging": lambda r, q, _: _bare(plain(r, Request(None, 0))),  # one long array, limit and page ignored
    "bare": lambda r, q, _: _bare(plain(r, q)),  # no pagination headers
    "capped": lambda r, q, n: plain(r, q, cap=int(n) or 1),  # the largest limit granted
    "slow": lambda r, q, n: replace(plain(r, q), delay_s=n),  # seconds before the answer
    "cut": lambda r, q, n: replace(plain(r, q), cut=q.page == int(n)),  # the page that breaks off half way
}


class Faults:
    """Counts how often each fault has struck, so that `500-2` strikes twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._struck: dict[str, int] = {}

    def answer(self, fault: str, records: Records, request: Request) -> Answer:
        """The answer under `fault` ("" for none). Raises LookupError for a name that is not known."""
        name, number = parse(fault)
        if name in BENT:
            return BENT[name](records, request, number or 0.0)
        if name in SPOILT and (number is None or self._strike(fault) <= number):
            return SPOILT[name]()
        return plain(records, request)

    def _strike(self, fault: str) -> int:
        with self._lock:
            self._struck[fault] = self._struck.get(fault, 0) + 1
            return self._struck[fault]


def parse(fault: str) -> tuple[str, float | None]:
    """Name and number of a fault ("" is none). Raises LookupError naming what is known."""
    name, dash, number = fault.rpartition("-")
    if fault in SPOILT or fault in BENT or not fault:
        return fault, None
    if dash and (name in SPOILT or name in BENT) and number.replace(".", "", 1).isdigit():
        return name, float(number)
    raise LookupError(f"unknown fault {fault!r}; known: {', '.join(sorted([*SPOILT, *BENT]))}")
