"""Counts every call by method and caller, and keeps their order: what benchmarks, chaos and rights tests read."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LOG_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the method as `package.Service/Method`, who called, over which transport, when (UTC).

    `resource` is the name of what it was about (of a list: its parent), `peer` the caller's `host:port`; empty where
    that is not known.
    """

    method: str
    caller: str
    transport: str
    time: datetime
    resource: str = ""
    peer: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            "method": self.method, "caller": self.caller, "transport": self.transport,
            "time": self.time.isoformat(), "resource": self.resource, "peer": self.peer,
        }  # fmt: skip


NAMES = ("name", "parent", "subscription", "topic", "log_name", "resource")


def resource_of(request: Any) -> str:
    """What a request is about: its own name, the name that it is to get, or its parent."""
    if getattr(request, "job_id", ""):
        return f"{request.parent}/jobs/{request.job_id}"
    for name in NAMES:
        value = getattr(request, name, "")
        if value and isinstance(value, str):
            return value
    return str(getattr(getattr(request, "job", None), "name", ""))


class CallLog:
    """Counters without a bound, the calls themselves for the last ten thousand."""

    def __init__(self, size: int = LOG_SIZE) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._recent: deque[Call] = deque(maxlen=size)

    def add(self, method: str, caller: str, transport: str, resource: str = "", peer: str = "") -> Call:
        call = Call(method, caller, transport, datetime.now(UTC), resource, peer)
        self._counts[method, caller] += 1
        self._recent.append(call)
        return call

    def clear(self) -> None:
        self._counts.clear()
        self._recent.clear()

    def as_dict(self, recent: int = 0) -> dict[str, Any]:
        """Counts, highest first, and on request the last `recent` calls in the order they came."""
        calls = [
            {"method": method, "caller": caller, "count": count}
            for (method, caller), count in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        ]
        answer: dict[str, Any] = {"total": self._counts.total(), "calls": calls}
        if recent > 0:
            answer["recent"] = [call.as_dict() for call in list(self._recent)[-recent:]]
        return answer
