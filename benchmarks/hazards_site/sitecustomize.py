"""Tells when code of ours learns that a job may have to be cancelled (`told`), and when it knows (`knows`).

Python imports this in every process whose PYTHONPATH names this folder. A line of JSON each goes into HAZARDS_TOLD;
benchmarks/hazards_prompt.py compares them with the cancel calls that the emulator counted.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import wrapt


def _tell(kind: str, job: str, at: float | None = None) -> None:
    with open(os.environ["HAZARDS_TOLD"], "a") as told:
        told.write(json.dumps({"kind": kind, "job": job, "at": at or time.time()}) + "\n")


def _first(owner: Any, method: str, tell: Callable[..., None]) -> None:
    """Have `tell` called with what the method is called with, before it."""
    original = getattr(owner, method)

    def told(*args: Any, **kwargs: Any) -> Any:
        tell(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, method, told)


@wrapt.when_imported("gcp_jobs.operators.hold")  # type: ignore[misc, unused-ignore]
def _worker(module: Any) -> None:
    def tell(operator: Any, *_: Any) -> None:
        if operator._unfinished:
            _tell("told", operator._unfinished.name)

    _first(module.HoldsRun, "on_kill", tell)
    _first(module.HoldsRun, "_give_up", tell)


@wrapt.when_imported("gcp_jobs.job_run")  # type: ignore[misc, unused-ignore]
def _wait(module: Any) -> None:
    def tell(_: Any, carry: Any) -> None:
        if carry.deadline:
            _tell("told", carry.ref.name, carry.deadline)

    _first(module.JobRun, "wait", tell)


@wrapt.when_imported("gcp_jobs.triggers.job")  # type: ignore[misc, unused-ignore]
def _trigger(module: Any) -> None:
    def name(trigger: Any) -> str:
        return str(module.JobRef.from_dict(trigger.ref).name)

    def limit(trigger: Any) -> None:
        if trigger.deadline:
            _tell("told", name(trigger), trigger.deadline)

    _first(module.JobTrigger, "run", limit)
    _first(module.JobTrigger, "on_kill", lambda trigger: _tell("told", name(trigger)))
    _first(module.JobTrigger, "_cancel", lambda trigger: _tell("told", name(trigger)))


@wrapt.when_imported("gcp_jobs.listener")  # type: ignore[misc, unused-ignore]
def _listener(module: Any) -> None:
    marked: dict[tuple[str, str], float] = {}

    def mark(_: Any, mark: Any) -> None:
        marked.setdefault((mark.dag_id, mark.run_id), time.time())

    def cancel(left: Any) -> None:
        _tell("told", left.ref.name, marked.get((left.maker.dag_id, left.maker.run_id)))

    from gcp_jobs import marks

    _first(module.Listener, "_note", mark)
    _first(marks, "_cancel", cancel)


@wrapt.when_imported("gcp_jobs.once")  # type: ignore[misc, unused-ignore]
def _next_try(module: Any) -> None:
    _first(module.Launcher, "_ended", lambda _, status: _tell("knows", status.ref.name))


@wrapt.when_imported("gcp_jobs.ownership")  # type: ignore[misc, unused-ignore]
def _verdict(module: Any) -> None:
    for name in ("worker_should_cancel", "trigger_should_cancel"):
        _knows(module, name)


def _knows(module: Any, name: str) -> None:
    original = getattr(module, name)

    def knows(claim: Any, seen: Any) -> Any:
        verdict = original(claim, seen)
        if verdict:
            _tell("knows", claim.job)
        return verdict

    setattr(module, name, knows)
