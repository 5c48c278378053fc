"""The outbox: records that the ledger did not take wait in Airflow's task state store, which survives retries."""

from collections.abc import Iterable
from typing import Any, Protocol

from gcp_jobs.ledger.record import KINDS, Record, joined, kind_of

STORE_KEY = "gcp_jobs_ledger"


class StateStore(Protocol):
    """Airflow's task state store, one a task; or what reads and writes the same over Airflow's REST API."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...


class Writer(Protocol):
    """The part of a Ledger that takes records."""

    def write(self, records: Iterable[Record]) -> list[tuple[Record, str]]: ...


def load(store: StateStore) -> list[Record]:
    """Read what waits."""
    return read(store.get(STORE_KEY))


def read(found: object) -> list[Record]:
    """Read what `dump` gave; kinds that another release wrote are left out."""
    items = found if isinstance(found, list) else []
    return [
        KINDS[item["kind"]].from_dict(item["record"])
        for item in items
        if isinstance(item, dict) and item.get("kind") in KINDS
    ]


def save(store: StateStore, records: Iterable[Record]) -> None:
    """Let these wait, and no others."""
    store.set(STORE_KEY, dump(records))


def dump(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give the form that waits; what speaks of one thing becomes one record."""
    return [{"kind": kind_of(r), "record": r.to_dict()} for r in joined(records)]


def catch_up(store: StateStore, ledger: Writer) -> int:
    """Write what waits in a task's store, then empty it; gives how many records that were.

    :raises LedgerUnavailable: they go on waiting
    """
    waiting = load(store)
    if waiting:
        ledger.write(waiting)
        save(store, [])
    return len(waiting)
