"""Who ended this try, and may we cancel its job? `on_kill` alone is no proof of a user's kill.

A worker's on_kill fires on any SIGTERM (eviction, a scheduler that reset the task), a trigger's also when its row
moved to another triggerer. So both ask Airflow first: the task's state, then who owns the job (XCom `gcp_jobs_owner`,
deleted when a new try starts and kept over a resume). No answer means: leave the job to the next try.
"""

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow.sdk import TaskInstanceState
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetDagRun, GetTaskStates, GetXCom

OWNER = "gcp_jobs_owner"
JOIN_S = 0.3
PATIENCE_S = 60.0
UNANSWERED_S = 240.0
LOOK_S = 1.0
ENDED = frozenset(
    state.value
    for state in (
        TaskInstanceState.FAILED,
        TaskInstanceState.SUCCESS,
        TaskInstanceState.SKIPPED,
        TaskInstanceState.REMOVED,
        TaskInstanceState.UPSTREAM_FAILED,
    )
)
RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Claim:
    """Which try of which task owns which job (`job`: full name of the run)."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    clear_number: int
    job: str

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes into triggers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(**{key: value[key] for key in cls.__slots__})

    @property
    def index(self) -> int | None:
        """Map index as Airflow's messages want it: None for a task that is not mapped."""
        return self.map_index if self.map_index >= 0 else None


@dataclass(frozen=True, slots=True)
class Sight:
    """What Airflow says: the task's state, the owner in XCom, the DAG run's clear number (None: not asked)."""

    state: str | None
    owner: str | None
    clear_number: int | None = None


def worker_should_cancel(claim: Claim, seen: Sight) -> bool:
    """Decide for a worker: yes after mark failed/success and clear; no after eviction or another scheduler's reset."""
    if seen.state in ENDED or seen.state == RESTARTING:
        return True
    if seen.state == TaskInstanceState.RUNNING and seen.owner == claim.job:
        return False
    return seen.clear_number is not None and seen.clear_number != claim.clear_number


def trigger_should_cancel(claim: Claim, seen: Sight) -> bool | None:
    """Decide for a trigger; None means that the picture is not clear yet: look again."""
    if (seen.owner is not None and seen.owner != claim.job) or seen.state in ENDED:
        return True
    if seen.state == TaskInstanceState.DEFERRED and seen.owner is not None:
        return False
    return None


def on_worker_kill(claim: Claim, cancel: Callable[[], None]) -> threading.Thread:
    """Cancel the job if this try was ended by a user. Returns within JOIN_S: the caller is a signal handler.

    The question is asked from a thread, for the signal may have landed while the main thread holds the supervisor's
    lock; the thread has the 5 s until SIGKILL. Whoever ends the process by itself before that waits for the thread.
    """
    thread = threading.Thread(target=_decide, args=(claim, cancel), name="gcp-jobs-on-kill", daemon=True)
    thread.start()
    thread.join(JOIN_S)
    return thread


def _decide(claim: Claim, cancel: Callable[[], None]) -> None:
    try:
        seen = _look(claim)
    except BaseException:  # the API is away or answers an error: not ours to kill
        return
    if worker_should_cancel(claim, seen):
        cancel()


def _look(claim: Claim) -> Sight:
    ask = task_runner.SUPERVISOR_COMMS.send
    states = ask(_states(claim))
    owner = ask(_owner(claim))
    run = ask(GetDagRun(dag_id=claim.dag_id, run_id=claim.run_id))
    return Sight(_state(states, claim), getattr(owner, "value", None), getattr(run, "clear_number", None))


async def _alook(claim: Claim) -> Sight:
    """The state first, then the XCom: a try that starts in between shows as another owner. No GetDagRun: it hangs."""
    ask = task_runner.SUPERVISOR_COMMS.asend
    states = await ask(_states(claim))
    owner = await ask(_owner(claim))
    return Sight(_state(states, claim), getattr(owner, "value", None))


def _states(claim: Claim) -> GetTaskStates:
    return GetTaskStates(
        dag_id=claim.dag_id, run_ids=[claim.run_id], task_ids=[claim.task_id], map_index=claim.index
    )


def _owner(claim: Claim) -> GetXCom:
    return GetXCom(
        key=OWNER, dag_id=claim.dag_id, run_id=claim.run_id, task_id=claim.task_id, map_index=claim.index
    )


def _state(answer: Any, claim: Claim) -> str | None:
    found = next(iter(answer.task_states.get(claim.run_id, {}).values()), None)
    return None if found is None else str(getattr(found, "value", found))


_at_work: set[asyncio.Task[None]] = set()
_acquainted: list[asyncio.Task[None]] = []


def acquaint(claim: Claim) -> None:
    """Have Airflow asked once a process, before it matters: its first answer to a triggerer takes seconds."""
    if not _acquainted:
        work = asyncio.get_running_loop().create_task(_ask(claim), context=contextvars.Context())
        _acquainted.append(work)


async def _ask(claim: Claim) -> None:
    with suppress(Exception):
        await _alook(claim)


async def on_trigger_kill(claim: Claim, cancel: Callable[[], Awaitable[None]]) -> None:
    """Cancel the job if a user ended the task. The runner cuts on_kill off after 1 s; the work lives on in its task."""
    work = asyncio.ensure_future(_settle(claim, cancel))
    _at_work.add(work)
    work.add_done_callback(_at_work.discard)
    await asyncio.shield(work)


async def _settle(
    claim: Claim,
    cancel: Callable[[], Awaitable[None]],
    look: Callable[[Claim], Awaitable[Sight]] = _alook,
    patience: float = PATIENCE_S,
) -> None:
    begun, answered = time.monotonic(), None
    while True:
        try:
            verdict = trigger_should_cancel(claim, await look(claim))
        except Exception:  # whoever should answer is away, which says nothing about the task: ask again
            if time.monotonic() > begun + UNANSWERED_S:
                return
        else:
            answered = answered or time.monotonic()
            if verdict is False:
                return
            if verdict or time.monotonic() > answered + patience:
                break  # over patience: a user's clear that never came to rest; nobody waits for the job any more
        await asyncio.sleep(LOOK_S)
    await cancel()
