"""One job's life under any sequence of cloud states, faults and users' actions: attempts within their budgets, back-off
bounded, only legal states seen, and whatever ends, ends once. The pure parts are driven as operator and trigger do."""

import logging
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gcp_jobs.decision import Action, History, decide
from gcp_jobs.errors import EmulatorUnreachable, GcpJobsError, NotFound, QuotaExhausted, TransientApiError
from gcp_jobs.failure import ENVIRONMENTAL, FailureClass, explain
from gcp_jobs.model import TERMINAL, ExitInfo, JobRef, JobState, JobStatus
from gcp_jobs.policy import CLASSES, Ladder, Policy, Retry
from gcp_jobs.spec import JobSpec
from gcp_jobs.waiting import Do, Ended, Sleep, wait

S = JobState
LATER: dict[JobState, tuple[JobState, ...]] = {
    S.QUEUED: (S.SCHEDULED, S.RUNNING, S.FAILED),
    S.SCHEDULED: (S.RUNNING, S.FAILED),
    S.RUNNING: (S.SUCCEEDED, S.FAILED),
    S.CANCELLATION_IN_PROGRESS: (S.CANCELLED, S.SUCCEEDED, S.FAILED),
    S.DELETION_IN_PROGRESS: (S.GONE,),
    **dict.fromkeys(TERMINAL, ()),
}
ENDS = [
    ("", ExitInfo(50001), FailureClass.PREEMPTED),
    ("", ExitInfo(50006), FailureClass.HOST_LOST),
    ("ZONE_RESOURCE_POOL_EXHAUSTED", ExitInfo(), FailureClass.STOCK_OUT),
    ("CODE_GCE_QUOTA_EXCEEDED", ExitInfo(), FailureClass.QUOTA),
    ("The configured memory limit was reached.", ExitInfo(137), FailureClass.OUT_OF_MEMORY),
    ("", ExitInfo(50005), FailureClass.TIMED_OUT),
    ("Connection reset by peer", ExitInfo(1), FailureClass.NETWORK),
    ("PERMISSION_DENIED", ExitInfo(1), FailureClass.PERMISSION),
    ("", ExitInfo(7), FailureClass.APPLICATION),
    ("", ExitInfo(), FailureClass.UNKNOWN),
]
FAULTS = [None, TransientApiError("503"), QuotaExhausted("429"), EmulatorUnreachable("away")]
RULES = st.builds(
    Retry, budget=st.integers(0, 3), same_rung=st.none() | st.integers(0, 2), first_delay=st.just(5),
    longest_delay=st.just(60),
)  # fmt: skip
POLICIES = st.fixed_dictionaries({name: RULES for name in sorted(CLASSES)}).map(
    lambda rules: Policy(**rules, ladder=Ladder(machine_types=("n2-standard-2",), regions=("us-east1",)))
)
LOG = logging.getLogger("test_life")
LOG.disabled = True
SPEC = JobSpec.model_validate(
    {"name": "j", "project": "p", "region": "us-central1", "environment": "dev", "image": "i",
     "provisioning": "spot", "machine_type": "e2-standard-2"}
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """The cloud's truth (`cloud`), the wait that sees it, and what is decided when it ends."""

    over = True

    @initialize(policy=POLICIES)
    def a_template_sets_the_policy(self, policy: Policy) -> None:
        self.policy, self.now = policy, 1_000_000.0
        self.submit(None)

    @precondition(lambda self: self.over)
    @rule(budget_s=st.none() | st.integers(50, 5000))
    def airflow_tries_again_or_somebody_clears(self, budget_s: int | None) -> None:
        self.submit(budget_s)

    def submit(self, budget_s: int | None) -> None:
        """A new Airflow try: budgets begin anew."""
        self.over = False
        self.deadline = None if budget_s is None else self.now + budget_s
        self.history = History.begin(SPEC, "batch", self.policy)
        self.attempts = 0
        self.begin()

    def begin(self) -> None:
        """Another run of the job: a generation of its own."""
        self.attempts += 1
        self.ref = JobRef(
            "batch", "p", self.history.here.region, f"j-{self.attempts}", uid=f"u{self.attempts}"
        )
        self.cloud, self.seen, self.end = S.QUEUED, [S.QUEUED], ENDS[-1]
        self.started: float | None = None
        self.ended: float | None = None
        self.steps: Generator[Any, Any, Ended] = wait(
            self.ref, deadline=self.deadline, period=30, log=LOG, clock=lambda: self.now
        )
        self.step: Any = next(self.steps)

    def move(self, state: JobState) -> None:
        """The cloud's truth changes; what is over stays as it is."""
        self.cloud = state
        if state is S.RUNNING:
            self.started = self.now
        if state in TERMINAL:
            self.ended = self.now

    def status(self) -> JobStatus | GcpJobsError:
        """What a read says now."""
        if self.cloud is S.GONE:
            return NotFound("no such job")
        at = [datetime.fromtimestamp(t, UTC) if t else None for t in (self.started, self.ended)]
        message = self.end[0] if self.cloud is S.FAILED else ""
        return JobStatus(self.ref, self.cloud, message=message, started=at[0], ended=at[1])

    @precondition(lambda self: not self.over and LATER[self.cloud])
    @rule(which=st.integers(0, 2), end=st.sampled_from(ENDS), after=st.floats(0, 400))
    def the_cloud_moves_on(self, which: int, end: tuple[str, ExitInfo, FailureClass], after: float) -> None:
        self.now += after
        self.end = end
        self.move(LATER[self.cloud][which % len(LATER[self.cloud])])

    @precondition(lambda self: not self.over and self.cloud not in TERMINAL)
    @rule(slowly=st.booleans())
    def somebody_cancels(self, slowly: bool) -> None:
        if self.cloud is not S.DELETION_IN_PROGRESS:
            self.move(S.CANCELLATION_IN_PROGRESS if slowly else S.CANCELLED)

    @precondition(lambda self: not self.over)
    @rule(slowly=st.booleans())
    def somebody_deletes(self, slowly: bool) -> None:
        self.move(S.DELETION_IN_PROGRESS if slowly and self.cloud not in TERMINAL else S.GONE)

    @precondition(lambda self: not self.over)
    @rule(seconds=st.floats(0, 2000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.over)
    @rule(fault=st.sampled_from(FAULTS), misses=st.booleans())
    def the_wait_looks(self, fault: GcpJobsError | None, misses: bool) -> None:
        """Do what the wait asks for until it sleeps; the first read may meet a fault."""
        answer: Any = None
        if isinstance(self.step, Sleep):
            assert self.step.seconds > 0
            self.now += min(self.step.seconds, 60)
        for _ in range(40):
            if self.step is Do.READ:
                answer = fault or (NotFound("not yet") if misses else self.status())
                fault, misses = None, False
                if isinstance(answer, JobStatus):
                    self.seen.append(answer.state)
            elif self.step is Do.CANCEL and self.cloud not in TERMINAL | {S.DELETION_IN_PROGRESS}:
                self.move(S.CANCELLED)
            try:
                self.step, answer = self.steps.send(answer), None
            except StopIteration as stop:
                self.judge(stop.value)
                return
            if isinstance(self.step, Sleep):
                return
        raise AssertionError("the wait never sleeps")

    def judge(self, ended: Ended) -> None:
        """What the operator does with the end of a wait."""
        status = ended.status
        if ended.timed_out or status is None:
            assert self.deadline is not None
            assert self.now >= self.deadline
            self.over = True
            return
        assert status.state in TERMINAL
        assert status.state in (self.cloud, S.GONE)  # three misses in a row are taken for a deletion
        assert status.duration_s is None or status.duration_s >= 0
        if status.state is S.SUCCEEDED:
            self.over = True
            return
        if status.state is S.FAILED:
            failure = explain(replace(status, message=self.end[0]), self.end[1], {})
            assert failure.kind is self.end[2]
        else:
            failure = explain(status, ExitInfo(), {})
        decision = decide(failure, self.history, self.policy, SPEC, jitter=lambda: 0.5)
        if decision.action is Action.STOP:
            self.over = True
            return
        assert failure.kind in CLASSES
        assert 0 < decision.delay_s <= 60
        self.history = History.from_dict(self.history.after(failure, decision, self.ref.name).to_dict())
        self.now += decision.delay_s
        self.begin()

    @invariant()
    def budgets_hold(self) -> None:
        assert self.attempts == 1 + len(self.history.past)
        assert all(self.history.count(FailureClass(k)) <= getattr(self.policy, k).budget for k in CLASSES)
        climbs = [past.rung for past in self.history.past if past.action is Action.CLIMB]
        assert len(set(climbs)) == len(climbs)
        assert {FailureClass(k) for k in CLASSES} >= ENVIRONMENTAL

    @invariant()
    def what_was_seen_is_legal(self) -> None:
        terminal = [state for state in self.seen if state in TERMINAL]
        assert len(terminal) <= 1
        order = [S.QUEUED, S.SCHEDULED, S.RUNNING]
        places = [order.index(state) for state in self.seen if state in order]
        assert places == sorted(places)

    @invariant()
    def it_ends_after_it_began(self) -> None:
        assert self.ended is None or self.started is None or self.ended >= self.started


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
