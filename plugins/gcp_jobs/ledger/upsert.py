"""Records as statements that may run late, twice and in any order; `record.Run.join` says the same in Python."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gcp_jobs.ledger.record import OUTCOME, RANK, Attempt, Record, Run, kind_of
from gcp_jobs.ledger.schema import attempts, decisions, runs, transitions
from gcp_jobs.model import TERMINAL

TABLES = {"run": runs, "attempt": attempts, "transition": transitions, "decision": decisions}
_RANKS = {state.value: rank for state, rank in RANK.items()}
_OVER = sorted(state.value for state in TERMINAL)


def statement(record: Record, dialect: str) -> sa.Executable:
    """Give the insert of a record, which says what happens where it is there already."""
    table = TABLES[kind_of(record)]
    values = {c.name: getattr(record, c.name) for c in table.columns}
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table).values(values)
    keys = [c.name for c in table.primary_key.columns]
    if isinstance(record, Run):
        return insert.on_conflict_do_update(index_elements=keys, set_=_run(insert.excluded))  # type: ignore[no-any-return]
    if isinstance(record, Attempt):
        learnt = {
            c.name: sa.func.coalesce(c, insert.excluded[c.name]) for c in table.columns if c.name not in keys
        }
        return insert.on_conflict_do_update(index_elements=keys, set_=learnt)  # type: ignore[no-any-return]
    return insert.on_conflict_do_nothing(index_elements=keys)  # type: ignore[no-any-return]


def _run(new: Any) -> dict[str, Any]:
    """What is known stays, a state only goes forward, an outcome belongs to the first terminal state."""
    old = runs.c
    learnt: dict[str, Any] = {
        c.name: sa.func.coalesce(c, new[c.name]) for c in old if c.name not in ("entry", "state", *OUTCOME)
    }
    learnt["state"] = sa.case((_rank(new.state) > _rank(old.state), new.state), else_=old.state)
    takes = new.state.in_(_OVER) & (old.state.is_(None) | old.state.not_in(_OVER) | (old.state == new.state))
    for name in OUTCOME:
        learnt[name] = sa.case((takes, sa.func.coalesce(old[name], new[name])), else_=old[name])
    # end >= start, whichever of the two is learnt later
    started = sa.func.coalesce(old.started_at, new.started_at)
    ended, fresh = learnt["ended_at"], old.ended_at.is_(None)
    learnt["ended_at"] = sa.case((fresh & (ended < started), started), else_=ended)
    late = old.started_at.is_(None) & (new.started_at > old.ended_at)
    learnt["started_at"] = sa.case((late, old.ended_at), else_=started)
    return learnt


def _rank(state: Any) -> Any:
    return sa.case(_RANKS, value=state, else_=0)
