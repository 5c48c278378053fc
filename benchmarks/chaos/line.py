"""The line between a process of the small Airflow and its scheduler: questions with answers, and what is told."""

import threading
from multiprocessing.connection import Connection
from typing import Any


class Refused(RuntimeError):
    """Airflow refused to answer: the try that asks is over."""


class Line:
    """The process' end. Used from several threads."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection, self._lock = connection, threading.Lock()

    def tell(self, *words: Any) -> None:
        """Say something that wants no answer."""
        with self._lock:
            self._connection.send(words)

    def ask(self, what: str, *details: Any) -> Any:
        """Ask, and wait for the answer; raises Refused."""
        with self._lock:
            self._connection.send(("ask", what, details))
            fine, answer = self._connection.recv()
        if not fine:
            raise Refused(answer)
        return answer
