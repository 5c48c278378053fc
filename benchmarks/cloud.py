"""The emulator's own pages, as benchmarks use them. Blocking."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Faults:
    """`/emulator/faults` of the emulator at `url`."""

    url: str

    def add(self, kind: str, **fields: Any) -> str:
        """Put a fault on; gives its id."""
        answer = self._ask("POST", "", {"kind": kind, **fields})
        return str(answer["id"])

    def remove(self, fault: str) -> None:
        """Take one away."""
        self._ask("DELETE", f"/{fault}")

    def clear(self) -> None:
        """Take all away."""
        self._ask("DELETE", "")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body else None
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/emulator/faults{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
