"""What the cloud's own record says of a night: jobs started and ended an attempt, orphans, cancels, verdicts.

An attempt is what one run key stands for: (DAG, run, task, map index, clear number, generation). Allowed is:

- two runs of one attempt where two tries of its task lived at once, as long as one of them ends by itself at most:
  RunJob takes no idempotency key, and a task store no compare-and-set (`doubled_started` counts them, `excused` says
  how many of them these were; `doubled_completed` must be 0). Not so where runs start by a token;
- a cancelled run beside an older one of the same attempt: it was the loser;
- a run that a user ended and that ended by itself before anybody could cancel it.

- a new job of a cleared task beside the old one where two tries lived at once; else the old one must be over first.

Nothing else is. Whether Airflow says the truth of a task is seen by what its last job did.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.chaos.cloud import CANCELLED, ENDED_BY_ITSELF, FAILED, GOING, SUCCEEDED, Run

CLOCK_S = 0.2
LATE_S = 15.0  # for a cancel to arrive after a user's word, under faults


@dataclass(frozen=True, slots=True)
class Deed:
    """One task and what was done to it.

    :param wants: the state in which it was to end
    :param final: in which it ended, by Airflow's word; empty while it goes on
    :param acted: when a user ended or cleared it (epoch seconds)
    :param acted_try: which of its tries that ended
    :param cleared: whether that was a clear
    :param two: whether two of its tries lived at once
    :param upstream: whether it failed by a race of Airflow's own that is known upstream
    :param token: whether its runs start by a token, which never starts two
    :param limited: whether its runs are cancelled past a deadline, and nothing else ends them
    """

    task: str
    wants: str
    final: str
    ended: float | None
    acted: float | None
    acted_try: int
    cleared: bool
    two: bool
    said: str = ""
    upstream: bool = False
    token: bool = False
    limited: bool = False


@dataclass(slots=True)
class Tally:
    """The counts, and a line for each wrong."""

    attempts: int = 0
    doubled_started: int = 0
    excused: int = 0
    doubled_completed: int = 0
    orphans: int = 0
    oldest_orphan_s: float = 0.0
    wrong_verdicts: int = 0
    missed_cancels: int = 0
    wrong_cancels: int = 0
    upstream_races: int = 0
    unfinished: int = 0
    wrongs: list[str] = field(default_factory=list)

    @property
    def red(self) -> bool:
        """Whether anything is there that must not be."""
        return bool(self.wrongs)

    def wrong(self, name: str, words: str) -> None:
        """Count a wrong."""
        setattr(self, name, getattr(self, name) + 1)
        self.wrongs.append(f"{name}: {words}")


def judged(runs: Sequence[Run], deeds: Iterable[Deed], now: float) -> Tally:
    """Judge; `now` is when the record was read, in epoch seconds."""
    tally, by_task = Tally(), defaultdict[str, list[Run]](list)
    for run in runs:
        by_task[run.task].append(run)
    tally.attempts = len({(run.task, run.key) for run in runs})
    for deed in deeds:
        mine = sorted(by_task.pop(deed.task, []), key=lambda run: run.created)
        _doubles(tally, deed, mine)
        _cancels(tally, deed, mine)
        _beside(tally, deed, mine)
        _orphans(tally, deed, mine, now)
        _verdict(tally, deed, mine)
    for task, strange in by_task.items():
        tally.wrong("orphans", f"{task or 'nobody'} has {len(strange)} jobs, and nobody knows of it")
    return tally


def _doubles(tally: Tally, deed: Deed, runs: Sequence[Run]) -> None:
    by_key = defaultdict[str, list[Run]](list)
    for run in runs:
        by_key[run.key].append(run)
    for several in by_key.values():
        if len(several) > 1:
            tally.doubled_started += len(several) - 1
            if deed.two and not deed.token:
                tally.excused += len(several) - 1
            else:
                why = "by a token" if deed.token else "one try at a time"
                tally.wrongs.append(f"doubled_started: {deed.task}, {why}: {_told(several)}")
        if sum(run.state in ENDED_BY_ITSELF for run in several) > 1:
            tally.wrong("doubled_completed", f"{deed.task}: {_told(several)}")
    good = [run for run in runs if run.state == SUCCEEDED]
    if len(good) > 1 + deed.cleared and all(len(several) == 1 for several in by_key.values()):
        tally.wrong("doubled_completed", f"{deed.task} succeeded {len(good)} times: {_told(good)}")


def _cancels(tally: Tally, deed: Deed, runs: Sequence[Run]) -> None:
    """A cancel is right after a user's word, and for the loser of two; after a user's word it must not be missed."""
    for run in runs:
        others = [other for other in runs if other.key == run.key and other is not run]
        before = run.try_number <= deed.acted_try
        ended = deed.acted is not None and (before or not deed.cleared)
        if (
            run.state == CANCELLED
            and not (ended or deed.limited)
            and all(other.state == CANCELLED for other in others)
        ):
            tally.wrong(
                "wrong_cancels",
                f"{deed.task}: {run.name} was cancelled, and nobody had asked for it; {deed.said}; {_told(runs)}",
            )
        late = run.ended is not None and deed.acted is not None and run.ended > deed.acted + LATE_S
        if ended and run.state in ENDED_BY_ITSELF and late:
            tally.wrong("missed_cancels", f"{deed.task}: {run.name} ran on to its end after a user's word")


def _beside(tally: Tally, deed: Deed, runs: Sequence[Run]) -> None:
    """What a clear or a failure begins anew begins when the run before is over, unless a ghost was about."""
    for older, newer in itertools.pairwise(runs):
        beside = older.ended is None or older.ended > newer.created + CLOCK_S
        if older.key != newer.key and beside and not deed.two:
            tally.wrong("missed_cancels", f"{deed.task}: {newer.name} began beside {older.name}")


def _orphans(tally: Tally, deed: Deed, runs: Sequence[Run], now: float) -> None:
    """A run whose task is over, or was cleared, has nobody: its age is how long it outlives that."""
    for run in runs:
        before = run.try_number <= deed.acted_try
        since = deed.acted if before else deed.ended
        if since is None or not (before or deed.final):
            continue
        tally.oldest_orphan_s = max(tally.oldest_orphan_s, (run.ended or now) - max(since, run.created))
        if run.state == GOING:
            tally.wrong("orphans", f"{deed.task} is {deed.final}, and {run.name} runs on; {deed.said}")
            if before:
                tally.wrong("missed_cancels", f"{deed.task}: {run.name} goes on after a user's word")


def _verdict(tally: Tally, deed: Deed, runs: Sequence[Run]) -> None:
    if not deed.final:
        tally.wrong("unfinished", f"{deed.task} never ended: {deed.said}")
        return
    if deed.upstream:
        tally.upstream_races += 1
        return
    if deed.final != deed.wants:
        tally.wrong(
            "wrong_verdicts", f"{deed.task} is {deed.final}, not {deed.wants}: {deed.said}; {_told(runs)}"
        )
    elif deed.acted is None or deed.cleared:
        had = {run.state for run in runs if run.try_number > deed.acted_try}
        needed = SUCCEEDED if deed.final == "success" else CANCELLED if deed.limited else FAILED
        if needed not in had:
            tally.wrong("wrong_verdicts", f"{deed.task} is {deed.final}, but its jobs: {_told(runs)}")


def _told(runs: Sequence[Run]) -> str:
    return ", ".join(f"{run.name.rpartition('/')[2]} ({run.key[:6]}) {run.state}" for run in runs) or "none"
