"""Rests until the next attempt of a job may start. Nothing runs meanwhile, so there is nothing to cancel."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class PauseTrigger(BaseTrigger):
    """
    Fires once, when the time has come: {"outcome": "rested", "carry"}.

    :param until: epoch seconds; a triggerer that takes over rests for what is left
    :param carry: given back in the event as it is (`airflow dags test` loses a deferral's kwargs)
    """

    def __init__(self, until: float, carry: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until, self.carry = until, carry

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments: a triggerer rebuilds the trigger from these alone."""
        return "gcp_jobs.triggers.pause.PauseTrigger", {"until": self.until, "carry": self.carry}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Rest and fire."""
        while (left := self.until - time.time()) > 0:
            await asyncio.sleep(left)
        yield TriggerEvent({"outcome": "rested", "carry": self.carry})
