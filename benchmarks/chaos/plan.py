"""What each task of chaos does, and what its user does to it: drawn from a seed, so that a night can be had again."""

import random
from dataclasses import dataclass
from enum import StrEnum

LONG_S = 600.0
SECONDS = {"batch": (0.2, 3.0), "cloud_run": (3.0, 5.0)}  # a loser of two must live until it is found out


class Act(StrEnum):
    """What a user does once the task's job is there."""

    NOTHING = ""
    FAIL = "failed"
    SUCCEED = "success"
    CLEAR = "clear"


class Blow(StrEnum):
    """What happens to a process that has a call at a boundary.

    GHOST: its scheduler is reset and starts the next try while it lives on. STALL: it stops for a while, and others
    take its triggers over. EVICT: SIGTERM, and SIGKILL some seconds later.
    """

    KILL = "kill"
    GHOST = "ghost"
    EVICT = "evict"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Plan:
    """One task. `wants`: how it is to end; `name`: its job definition's, shared by some; `token`: starts by one."""

    number: int
    seed: int
    backend: str
    deferrable: bool
    verbose: bool
    name: str
    seconds: float
    exit: int
    act: Act
    after_s: float
    stretch: float
    token: bool

    @property
    def run_id(self) -> str:
        """Its DAG run."""
        return f"run-{self.seed}-{self.number}"

    @property
    def task(self) -> str:
        """Its name in the cloud's record."""
        return f"chaos/{self.run_id}/job/-1"

    @property
    def wants(self) -> str:
        """The state in which it is to end."""
        if self.act in (Act.FAIL, Act.SUCCEED):
            return self.act.value
        return "failed" if self.exit else "success"

    def args(self, clear_number: int) -> tuple[str, ...]:
        """What its job does: one that a user is to clear runs for long, and quickly after that."""
        seconds = SECONDS[self.backend][0] * self.stretch if clear_number else self.seconds
        return (
            f"seconds={seconds}",
            f"say=job of {self.run_id}",
            *([f"exit={self.exit}"] if self.exit else ()),
        )


def plan(number: int, seed: int, stretch: float = 1.0) -> Plan:
    """Draw the `number`-th task of a night; `stretch`: by how much its job lasts longer, for the machine is busy."""
    dice = random.Random(f"{seed}/{number}")
    kind = dice.random()
    act = Act.NOTHING if kind < 0.7 else (Act.FAIL, Act.SUCCEED, Act.CLEAR)[number % 3]
    long = act is not Act.NOTHING
    backend = ("batch", "cloud_run")[number % 2]
    own = dice.random() < 0.3
    shared = dice.randrange(4)
    token = backend == "cloud_run" and shared == 0
    return Plan(
        number=number,
        seed=seed,
        backend=backend,
        deferrable=dice.random() < 0.65,
        verbose=dice.random() < 0.4,
        name=f"chaos-{number}" if own else f"chaos-{shared}",
        seconds=LONG_S if long else dice.uniform(*SECONDS[backend]) * stretch,
        exit=127 if not long and dice.random() < 0.15 else 0,
        act=act,
        after_s=dice.uniform(0.0, 0.8),
        stretch=stretch,
        token=token,
    )
