"""The emulator's own pages, as benchmarks use them. Blocking."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cloud:
    """The faults and the calls of the emulator at `url`."""

    url: str

    def fault(self, kind: str, **fields: Any) -> str:
        """Put a fault on; gives its id."""
        return str(self._ask("POST", "faults", {"kind": kind, **fields})["id"])

    def remove(self, fault: str) -> None:
        """Take one away."""
        self._ask("DELETE", f"faults/{fault}")

    def heal(self) -> None:
        """Take all away."""
        self._ask("DELETE", "faults")

    def count(self, method: str) -> int:
        """How often anybody called a method (`GetJob`) since the last `forget_calls`."""
        calls = self._ask("GET", "calls")["calls"]
        return sum(call["count"] for call in calls if call["method"].endswith(f"/{method}"))

    def forget_calls(self) -> None:
        """Start counting anew."""
        self._ask("DELETE", "calls")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body else None
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/emulator/{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")
