"""What to do after a failure: again, one rung higher, or stop. Pure; the history travels as JSON through deferrals.

Only failures of the infrastructure are tried again here, within budgets a class, and without using Airflow's `retries`:
the two never multiply, and `why` says which layer does what.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from gcp_jobs import ladder
from gcp_jobs.failure import PERMANENT, Failure, FailureClass, lacking
from gcp_jobs.ladder import Blocked, Rung
from gcp_jobs.model import JobStatus
from gcp_jobs.policy import Array, Ladder, Policy, Retry
from gcp_jobs.spec import JobSpec

TASK_INDICES = "GCP_JOBS_TASK_INDICES"


class Action(StrEnum):
    """What follows a failure."""

    AGAIN = "again"
    CLIMB = "climb"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Past:
    """An attempt that failed, and what was done about it. `job` is the run's full name."""

    kind: FailureClass
    rung: Rung
    action: Action
    delay_s: float
    why: str
    job: str = ""
    dependency: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The attempts of one Airflow try, and where the present one runs.

    :param own: the place that the job's own description asks for
    :param tasks: indices of the tasks that are run again, empty for all
    """

    own: Rung
    here: Rung
    past: tuple[Past, ...] = ()
    tasks: tuple[int, ...] = ()

    @classmethod
    def begin(
        cls, spec: JobSpec, backend: str, policy: Policy, blocked: Blocked = lambda rung: False
    ) -> Self:
        """Begin where the spec says, or at the first rung that no breaker blocks."""
        own = Rung.of(spec, backend)
        return cls(own, ladder.first(own, ladder.fitting(policy.ladder, spec), blocked))

    def count(self, kind: FailureClass) -> int:
        """How many attempts failed this way."""
        return sum(past.kind is kind for past in self.past)

    def after(self, failure: Failure, decision: "Decision", job: str = "") -> Self:
        """Give the history once a decision is taken; the next attempt runs at its rung."""
        past = Past(
            failure.kind, self.here, decision.action, decision.delay_s, decision.why, job, failure.dependency
        )
        return replace(
            self,
            here=decision.rung or self.here,
            past=(*self.past, past),
            tasks=decision.tasks or self.tasks,
        )

    def changes(self, spec: JobSpec) -> dict[str, Any]:
        """Fields of the spec that the present attempt changes."""
        return self.here.changes(spec) | _only(spec, self.tasks)

    def to_dict(self) -> dict[str, Any]:
        """Give the form that goes through a deferral."""
        return {
            "own": self.own.to_dict(),
            "here": self.here.to_dict(),
            "past": [
                {**{k: getattr(p, k) for k in Past.__slots__}, "rung": p.rung.to_dict()} for p in self.past
            ],
            "tasks": list(self.tasks),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; keys that a later release added are ignored."""
        past = tuple(
            Past(**{k: p[k] for k in Past.__slots__ if k in p}
                 | {"kind": FailureClass(p["kind"]), "action": Action(p["action"]), "rung": Rung.from_dict(p["rung"])})
            for p in value.get("past", ())
        )  # fmt: skip
        own, here = Rung.from_dict(value["own"]), Rung.from_dict(value["here"])
        return cls(own, here, past, tuple(value.get("tasks", ())))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    :param rung: where the next attempt runs, None when there is none
    :param delay_s: seconds to wait first
    :param tasks: indices of the tasks to run again, empty for all
    """

    action: Action
    why: str
    rung: Rung | None = None
    delay_s: float = 0.0
    tasks: tuple[int, ...] = ()


def decide(
    failure: Failure,
    history: History,
    policy: Policy,
    spec: JobSpec,
    *,
    jitter: Callable[[], float] = random.random,
    blocked: Blocked = lambda rung: False,
    rest_s: float = 0.0,
    failed_tasks: Sequence[int] = (),
) -> Decision:
    """Decide what follows a failure of the present attempt.

    :param jitter: gives 0 to 1
    :param blocked: whether a breaker keeps a rung from being used
    :param rest_s: seconds for which a breaker still rests what the failure names (a dependency, an API)
    :param failed_tasks: indices of this run's tasks that did not succeed, where it had many
    """
    kind, rule = failure.kind, policy.of(failure.kind)
    if rule is None or failure.permanent:
        return Decision(Action.STOP, _left(failure))
    used = history.count(kind)
    if used >= rule.budget:
        return Decision(Action.STOP, _spent(kind, used))
    rungs = ladder.fitting(policy.ladder, spec)
    rung, action = _next(kind, rule, history, rungs, blocked)
    if rung is None:
        why = f"{kind}: nothing further than {history.here}, after {used} of its own attempts; Airflow's retries follow"
        return Decision(Action.STOP, why)
    delay = _delay(rule, used, jitter(), rest_s)
    tasks = _again(policy, history, spec, failed_tasks)
    where = f"to {rung}" if action is Action.CLIMB else f"again at {rung}"
    some = f", only its {len(tasks)} failed tasks" if tasks else ""
    why = f"{kind} ({used + 1} of {rule.budget}): {where}{some}, in {delay:.0f} s; Airflow's retries stay unused"
    return Decision(action, why, rung, delay, tasks=tasks)


def stuck(status: JobStatus, policy: Policy, now: datetime) -> Failure | None:
    """Give why a run that has not started should be decided about as if it had failed; None while it may wait on.

    Where the decision is to stop, there is nowhere else to go: the run is not cancelled but waits on.
    """
    waited = (now - status.created).total_seconds() if status.created else 0.0
    return lacking(status) if waited >= policy.ladder.patience else None


def elsewhere(policy: Policy) -> Policy:
    """Give a policy by which a machine that went silent is not tried again, if there is another."""
    lost = policy.host_lost.model_copy(update={"same_rung": 0})
    return policy.model_copy(update={"host_lost": lost})


def _next(
    kind: FailureClass, rule: Retry, history: History, rungs: Ladder, blocked: Blocked
) -> tuple[Rung | None, Action]:
    """Where to: out of memory and out of time are not cured by another place, nor want of a place by waiting."""
    here = history.here
    if kind is FailureClass.OUT_OF_MEMORY:
        return ladder.larger(here, rungs), Action.CLIMB
    if kind is FailureClass.TIMED_OUT:
        return ladder.longer(here), Action.CLIMB
    stayed = sum(past.kind is kind and past.rung == here for past in history.past)
    if rule.same_rung is None or (stayed < rule.same_rung and not blocked(here)):
        return here, Action.AGAIN
    climbed = ladder.higher(history.own, here, rungs, blocked)
    if climbed is None and kind is not FailureClass.STOCK_OUT:
        return here, Action.AGAIN
    return climbed, Action.CLIMB


def _delay(rule: Retry, used: int, jitter: float, rest_s: float) -> float:
    """Double each time, give or take a fifth; never past the longest delay, never sooner than a breaker allows."""
    grown = min(float(rule.first_delay * 2 ** min(used, 32)), float(rule.longest_delay))
    share = min(max(jitter, 0.0), 1.0)
    return min(max(grown * (0.8 + 0.4 * share), rest_s), float(rule.longest_delay))


def _again(policy: Policy, history: History, spec: JobSpec, failed_tasks: Sequence[int]) -> tuple[int, ...]:
    if policy.array is not Array.FAILED or spec.task_count == 1:
        return ()
    mine = history.tasks or tuple(range(spec.task_count))
    found = tuple(mine[n] for n in sorted(set(failed_tasks)) if 0 <= n < len(mine))
    return found if len(found) < len(mine) else history.tasks


def _only(spec: JobSpec, tasks: tuple[int, ...]) -> dict[str, Any]:
    if not tasks:
        return {}
    env = dict(spec.env) | {TASK_INDICES: ",".join(map(str, tasks))}
    return {"env": env, "task_count": len(tasks), "parallelism": min(spec.parallelism, len(tasks))}


def _left(failure: Failure) -> str:
    if failure.kind is FailureClass.CANCELLED:
        return "cancelled: whoever did it wants no other, so neither we nor Airflow's retries make one"
    if failure.permanent or failure.kind in PERMANENT:
        return f"{failure.kind}: another try would end alike, so neither we nor Airflow's retries make one"
    if failure.kind in (FailureClass.APPLICATION, FailureClass.UNKNOWN):
        return (
            f"{failure.kind}: not the infrastructure's fault as far as is known; Airflow's own retries follow"
        )
    return f"{failure.kind}: not ours to try again"


def _spent(kind: FailureClass, used: int) -> str:
    if not used:
        return f"{kind}: the template's policy gives it no further attempt; Airflow's own retries follow"
    return f"{kind}: its budget of {used} is spent; Airflow's own retries follow"
