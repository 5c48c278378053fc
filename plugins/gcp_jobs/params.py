"""Params of a DAG run: Airflow checks the known ones against their schema and lets unknown ones pass; we do not."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from gcp_jobs.errors import UnknownParams


def refuse_unknown(context: Mapping[str, Any]) -> None:
    """Fail a DAG run that was started with params its DAG does not have; a task's `pre_execute`.

    :raises AirflowFailException: naming each unknown key and the nearest right one
    """
    from airflow.sdk.exceptions import AirflowFailException

    given = getattr(context.get("dag_run"), "conf", None) or {}
    known = [*context["dag"].params, *context["task"].params]
    try:
        check(given, known, where=f"DAG {context['dag'].dag_id}, run {context['run_id']}")
    except UnknownParams as error:
        raise AirflowFailException(str(error)) from error


def check(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Raise UnknownParams for keys of `given` that are not in `known`."""
    known = sorted(set(known))
    strange = [key for key in given if key not in known]
    if not strange:
        return
    near = {key: get_close_matches(str(key), known, 1, cutoff=0.5) for key in strange}
    hints = ", ".join(
        f"{key!r} (did you mean {hit[0]!r}?)" if hit else repr(key) for key, hit in near.items()
    )
    plural = "s" if len(strange) > 1 else ""
    raise UnknownParams(
        f"unknown param{plural} {hints}", where=where, todo=f"Allowed: {', '.join(known) or 'none'}."
    )
