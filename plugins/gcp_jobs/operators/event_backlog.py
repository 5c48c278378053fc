"""The asset events that a run answers for: those that Airflow gave it, and those that Airflow left behind.

Airflow 3.3 queues a DAG once for several asset events, and the run that comes of it takes them up to the first only
(AssetDagRunQueue: ON CONFLICT DO NOTHING); the others would wait for the next event, however late that is. So a run
takes what came after its own events too, and says so in the asset's state store: the run that Airflow gives them later
leaves them alone. Runs that both take one do no harm, for a job has the key of its event.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

LATER = "later"
REMEMBERED = 1_000


def payloads(context: "Context", backend: str) -> Iterator[Mapping[str, Any]]:
    """Give what was stored with each event, the oldest first; a retry or a clear gives the same in the same order.

    :param backend: whose task asks: each has a memory of its own
    """
    own = sorted(_given(context), key=lambda event: event.timestamp)
    if not own:
        return
    taken_key = f"taken_{backend}"
    memory: Any = context["asset_state_store"]
    taken: list[str] = memory.get(taken_key) or []
    later = _later(context, own, frozenset(taken))
    if later:
        known = [*taken, *(key for event in later if (key := _key(event)) not in taken)]
        memory.set(taken_key, known[-REMEMBERED:])
    for event in [*(event for event in own if _key(event) not in taken), *later]:
        yield _payload(event)


def _later(context: "Context", own: Sequence[Any], taken: frozenset[str]) -> list[Any]:
    """Find what came after the run's own events: at the first try whatever nobody took, then the same again."""
    store: Any = context["task_state_store"]
    known = store.get(LATER)
    if known is not None and not known["keys"]:
        return []
    last = own[-1].timestamp
    until = known["until"] if known else datetime.now(UTC).isoformat()
    assets = context["inlet_events"]
    found = [
        event
        for number in range(len(assets))
        for event in assets[number].after(last.isoformat()).before(until)
        if event.timestamp > last
    ]
    if known:
        return [event for event in found if _key(event) in known["keys"]]
    found = [event for event in found if _key(event) not in taken]
    store.set(LATER, {"keys": [_key(event) for event in found], "until": until})
    return found


def _given(context: "Context") -> list[Any]:
    told: Mapping[Any, Sequence[Any]] = context.get("triggering_asset_events") or {}
    return [event for asset in told for event in told[asset]]


def _key(event: Any) -> str:
    """What is one event's own: when it was stored, and what it wants first."""
    starts = _payload(event).get("starts") or [{}]
    return f"{event.timestamp.isoformat()} {starts[0].get('identity', '')}"


def _payload(event: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (event.extra or {}).get("payload") or {}
    return found
