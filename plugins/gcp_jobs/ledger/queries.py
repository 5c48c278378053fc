"""Questions to the ledger, as queries for `Ledger.read`."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gcp_jobs.ledger.record import Action
from gcp_jobs.ledger.schema import attempts, decisions, runs, transitions
from gcp_jobs.model import TERMINAL, JobState

_TASK = (runs.c.dag_id, runs.c.run_id, runs.c.task_id, runs.c.map_index)
_OVER = sorted(state.value for state in TERMINAL)


def newest(limit: int = 20, **equal: Any) -> sa.Select[Any]:
    """Runs, newest first, whose columns equal what is given."""
    query = sa.select(runs).order_by(runs.c.created_at.desc(), runs.c.entry).limit(limit)
    return query.where(*(runs.c[name] == value for name, value in equal.items()))


def found(name: str) -> sa.Select[Any]:
    """Runs by their entry (its start is enough), their name at Google, long or short, or their uid."""
    short = name.rpartition("/")[2]
    exact = (runs.c.run_uid == name) | (runs.c.run == short) | (runs.c.job == short)
    return (
        sa.select(runs)
        .where(exact | runs.c.entry.startswith(name, autoescape=True))
        .order_by(runs.c.created_at)
    )


def tries(entry: str) -> sa.Select[Any]:
    """The Airflow tries that held a run, first to last."""
    return sa.select(attempts).where(attempts.c.entry == entry).order_by(attempts.c.try_number)


def trail(run_uid: str) -> sa.Select[Any]:
    """The states that a run and its tasks reached, in time."""
    return (
        sa.select(transitions)
        .where(transitions.c.run_uid == run_uid)
        .order_by(transitions.c.at, transitions.c.task, transitions.c.attempt)
    )


def history(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> sa.Select[Any]:
    """All that was run for one task of a DAG run: a row for each try and run, in time."""
    of = (runs.c.dag_id, runs.c.run_id, runs.c.task_id, runs.c.map_index)
    here = (column == value for column, value in zip(of, (dag_id, run_id, task_id, map_index), strict=True))
    mine = [c for c in attempts.c if c.name not in ("entry", "try_number")]
    return (
        sa.select(runs, *(c.label(f"try_{c.name}") for c in mine), attempts.c.try_number.label("held_by_try"))
        .outerjoin(attempts, attempts.c.entry == runs.c.entry)
        .where(*here)
        .order_by(runs.c.created_at, attempts.c.try_number)
    )


def unfinished(before: datetime) -> sa.Select[Any]:
    """Runs asked for before then whose end nobody has told of, oldest first."""
    open_ = runs.c.state.is_(None) | runs.c.state.not_in(_OVER)
    return sa.select(runs).where(open_, runs.c.created_at < before).order_by(runs.c.created_at)


def open_of(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> sa.Select[Any]:
    """Runs of one task whose end nobody has told of, oldest first."""
    of = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    open_ = runs.c.state.is_(None) | runs.c.state.not_in(_OVER)
    return sa.select(runs).where(open_, *(runs.c[n] == v for n, v in of.items())).order_by(runs.c.created_at)


def known(uids: list[str]) -> sa.Select[Any]:
    """Which of these runs are ours (uid or full name, as `run_uid`)."""
    return sa.select(runs.c.run_uid, runs.c.entry).where(runs.c.run_uid.in_(uids))


def of_keys(run_keys: list[str]) -> sa.Select[Any]:
    """Runs by their run keys, oldest first (a DAG run that was deleted and run again has the keys of the first)."""
    return sa.select(runs).where(runs.c.run_key.in_(run_keys)).order_by(runs.c.created_at)


def places(since: datetime) -> sa.Select[Any]:
    """Where runs were asked for since then."""
    columns = (runs.c.backend, runs.c.project, runs.c.region)
    return sa.select(*columns).where(runs.c.created_at >= since).distinct().order_by(*columns)


def outcomes(since: datetime) -> sa.Select[Any]:
    """How tries ended since then, with the place where they ran and what failed them: a breaker counts these."""
    place = (runs.c.project, runs.c.backend, runs.c.region, runs.c.machine_type, runs.c.provisioning)
    return (
        sa.select(
            *place, *_TASK, runs.c.entry, runs.c.state,
            attempts.c.failure_class, attempts.c.dependency, attempts.c.ended_at,
        )
        .join(attempts, attempts.c.entry == runs.c.entry)
        .where(attempts.c.ended_at >= since)
        .order_by(attempts.c.ended_at)
    )  # fmt: skip


def under_way(since: datetime) -> sa.Select[Any]:
    """Runs asked for since then whose end nobody has told of, with the place where they run: a breaker's probes."""
    place = (runs.c.project, runs.c.backend, runs.c.region, runs.c.machine_type, runs.c.provisioning)
    open_ = runs.c.state.is_(None) | runs.c.state.not_in(_OVER)
    return sa.select(*place, *_TASK, runs.c.entry, runs.c.created_at).where(open_, runs.c.created_at >= since)


def dead_letters() -> sa.Select[Any]:
    """Runs that failed for good and about which nothing was decided, oldest first.

    `replayed_by` names what replays it, `made_good_by` a later run of the same task that succeeded.
    """
    again, later = runs.alias("replay"), runs.alias("later")
    decided = sa.select(decisions.c.entry).where(decisions.c.entry == runs.c.entry)
    same = (later.c[name] == runs.c[name] for name in ("dag_id", "run_id", "task_id", "map_index"))
    good = (
        sa.select(sa.func.max(later.c.entry))
        .where(*same, later.c.created_at > runs.c.created_at, later.c.state == JobState.SUCCEEDED.value)
        .scalar_subquery()
    )
    return (
        sa.select(
            runs, attempts.c.try_number.label("held_by_try"), again.c.entry.label("replayed_by"),
            good.label("made_good_by"),
        )
        .join(attempts, attempts.c.entry == runs.c.entry)
        .outerjoin(again, again.c.replay_of == runs.c.entry)
        .where(attempts.c.action == Action.DEAD_LETTER.value, ~decided.exists())
        .order_by(attempts.c.ended_at)
    )  # fmt: skip
