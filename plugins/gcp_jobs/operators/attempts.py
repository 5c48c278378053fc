"""The attempts of one Airflow try: where the present one runs, and what follows its failure (gcp_jobs.decision)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Self

from gcp_jobs import ladder
from gcp_jobs.breaker import Breakers
from gcp_jobs.decision import Action, Decision, History, decide, elsewhere
from gcp_jobs.failure import Failure
from gcp_jobs.ladder import Rung
from gcp_jobs.ledger.pending import StateStore
from gcp_jobs.names import sized
from gcp_jobs.operators.elsewhere import PER_RUN
from gcp_jobs.policy import Array, Policy
from gcp_jobs.settings import settings
from gcp_jobs.stragglers import SIBLINGS
from gcp_jobs.template import JobTemplate
from gcp_jobs.waiting import Log

STORE_KEY = "gcp_jobs_history"
LEDGER_S = 1.0
SIZE = frozenset({"cpu", "memory"})  # fields of a Cloud Run definition that no run can change
_AIRFLOWS = "; Airflow's "  # how a decision's last clause begins that leaves the rest to Airflow


@dataclass(frozen=True)
class Attempts:
    """What the template says, and what has become of it so far.

    :param template: as rendered: what the first attempt means to run
    :param per_run: fields of the spec that the backend changes for a run alone, beside its definition
    :param fixed: fields that nobody here may change, because the deployment writes the definition
    :param others: further backends that may run an attempt
    """

    template: JobTemplate
    history: History
    per_run: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @classmethod
    def begin(
        cls, template: JobTemplate, backend: str, log: Log, known: Mapping[str, Any] | None, **fields: Any
    ) -> Self:
        """Go on with a history that is known, else begin at the first rung that no breaker blocks."""
        if known:
            return cls(template, History.from_dict(known), **fields)
        begun = cls(template, History.begin(template.spec, backend, template.policy), **fields)
        if begun.patience is None:
            return begun
        history = History.begin(
            template.spec, backend, template.policy, begun.blocked(breakers(template, log))
        )
        if history.here != history.own:
            log.warning("%s keeps failing of late: beginning at %s", history.own, history.here)
        return replace(begun, history=history)

    @property
    def policy(self) -> Policy:
        """The template's."""
        return self.template.policy

    @cached_property
    def present(self) -> JobTemplate:
        """The template as the present attempt runs it."""
        changes = {k: v for k, v in self._changes.items() if k not in self._apart}
        spec, here = self.template.spec, self.history.here
        if here.backend == "cloud_run" and changes.keys() & SIZE:  # others run the definition as it is
            changes["name"] = sized(spec.name, here.memory)
        return replace(self.template, spec=ladder.applied(spec, changes))

    @property
    def overrides(self) -> Mapping[str, Any]:
        """What the present attempt changes beside the definition."""
        return {k: v for k, v in self._changes.items() if k in self._apart}

    @property
    def moved(self) -> bool:
        """Whether the present attempt runs on another backend than the job's own."""
        return self.history.here.backend != self.history.own.backend

    @property
    def _apart(self) -> frozenset[str]:
        return PER_RUN[self.history.here.backend] if self.moved else self.per_run

    @property
    def _changes(self) -> dict[str, Any]:
        return self.history.changes(self.template.spec)

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        return len(self.history.past) + 1

    @property
    def patience(self) -> float | None:
        """Seconds for which a run may want machines, None where there is no other place for it."""
        here, rungs = self.history.here, ladder.fitting(self.policy.ladder, self.template.spec)
        found = ladder.higher(self.history.own, here, rungs, self.blocked())
        return float(self.policy.ladder.patience) if found else None

    @property
    def watch(self) -> dict[str, Any] | None:
        """How to look for silent tasks, None where there is nothing to compare them with."""
        policy = self.policy
        if policy.heartbeat is None and self.template.spec.task_count <= SIBLINGS:
            return None
        return {"heartbeat": policy.heartbeat, "again": policy.idempotent}

    def told(self) -> list[dict[str, Any]]:
        """The attempts that failed, as the result tells of them."""
        return [
            {"run": past.job, "class": past.kind.value, "action": past.action.value, "rung": str(past.rung),
             "delay_s": round(past.delay_s, 1)}
            for past in self.history.past
        ]  # fmt: skip

    def blocked(self, known: Callable[[], Breakers | None] = lambda: None) -> Callable[[Rung], bool]:
        """Say which rungs are closed: another backend's, a region's that is not allowed, or by a breaker."""
        backend, allowed = self.history.own.backend, settings().regions
        project = self.template.spec.project

        def blocked(rung: Rung) -> bool:
            if rung.backend not in (backend, *self.others) or (allowed and rung.region not in allowed):
                return True
            found = known()
            return found is not None and found.place(project, rung).open

        return blocked

    @property
    def leaving(self) -> Self:
        """The same attempts, but by a policy that leaves a place where a task went silent."""
        return replace(self, template=replace(self.template, policy=elsewhere(self.policy)))

    def next(
        self,
        failure: Failure,
        log: Log,
        deadline: float | None,
        failed_tasks: Callable[[], tuple[int, ...]],
        own: str = "",
    ) -> Decision:
        """Decide what follows a failure of the present attempt.

        :param failed_tasks: asks the backend; only asked where the policy wants to know
        :param own: the attempt's entry in the ledger
        """
        known, spec = breakers(self.template, log, own), self.template.spec
        some = self.policy.array is Array.FAILED and spec.task_count > 1
        rule = self.policy.of(failure.kind)
        tasks = failed_tasks() if some and rule and rule.budget else ()
        found = known() if failure.dependency else None
        rest = found.name(failure.dependency).rest_s(found.now) if found else 0.0
        decision = decide(
            failure, self.history, self.policy, spec,
            blocked=self.blocked(known), rest_s=rest, failed_tasks=tasks,
        )  # fmt: skip
        return self._possible(decision, deadline)

    def _possible(self, decision: Decision, deadline: float | None) -> Decision:
        """Stop where the next attempt would begin past the deadline, or needs what we may not change."""
        rung = decision.rung
        if rung is None:
            return decision
        what = decision.why.partition(":")[0]
        if deadline is not None and time.time() + decision.delay_s >= deadline:
            why = f"{what}: no time is left for another attempt before the deadline{_AIRFLOWS}retries follow"
            return Decision(Action.STOP, why)
        mine = replace(self.history, here=rung).changes(self.template.spec)
        if rung.backend == self.history.own.backend and (locked := sorted(self.fixed & set(mine))):
            why = (
                f"{what}: another attempt needs other {' and '.join(locked)}, which the job's deployment sets and no"
                f" run can change; change the template and deploy it, or set manage_job=True{_AIRFLOWS}retries follow"
            )
            return Decision(Action.STOP, why)
        return decision


def breakers(template: JobTemplate, log: Log, own: str = "") -> Callable[[], Breakers | None]:
    """Give what reads the breakers from the ledger, once and only if asked; None where there is no answer.

    :param own: the run that asks, by its entry in the ledger: no probe of somebody else's
    """

    @cache
    def read() -> Breakers | None:
        from gcp_jobs.ledger import queries  # these two bring SQLAlchemy
        from gcp_jobs.ledger.connection import ledger
        from gcp_jobs.ledger.ledger import within

        limits, now = template.policy.breaker, datetime.now(UTC)
        try:
            kept = ledger()
            if kept is None:
                return None
            since = now - timedelta(seconds=limits.window)
            asked = queries.outcomes(since), queries.under_way(now - timedelta(seconds=limits.pause))
            ended, going = within(LEDGER_S, lambda: [kept.read(each) for each in asked])
            return Breakers.of(ended, now, limits, (row for row in going if row["entry"] != own))
        except Exception as error:
            # Airflow's connections may fail in any way; a job must not fail for want of a breaker
            log.info("No breaker is known: %s", error)
            return None

    return read


def said(decision: Decision, *, last: bool) -> str:
    """Why it stops, and what Airflow will really do."""
    why, left, _ = decision.why.partition(_AIRFLOWS)
    if not left:
        return why
    return f"{why}; {'no retry of Airflow is left' if last else 'Airflow retries the task'}"


def recall(store: StateStore | None, clear_number: int) -> Mapping[str, Any] | None:
    """Give the history of a try that died in between, None where there is none or the task was cleared since."""
    found = store.get(STORE_KEY) if store is not None else None
    if not isinstance(found, dict) or found.get("clear_number") != clear_number:
        return None
    known: Mapping[str, Any] | None = found.get("history")
    return known


def remember(store: StateStore | None, clear_number: int, history: History | None) -> None:
    """Keep the history for a try that goes on with it; None: the next try begins afresh."""
    if store is not None:
        kept = history.to_dict() if history else None
        store.set(STORE_KEY, {"clear_number": clear_number, "history": kept})
