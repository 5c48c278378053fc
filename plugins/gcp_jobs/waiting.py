"""The wait for one run: one generator holds the logic, two thin drivers (sync, async) do what it asks for.

Transient API errors never end the wait; they back off. Past the deadline the run is cancelled and its end awaited.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

from gcp_jobs.backends.base import JobBackend
from gcp_jobs.errors import EmulatorUnreachable, GcpJobsError, NotFound, QuotaExhausted, TransientApiError
from gcp_jobs.failure import lacking
from gcp_jobs.model import JobRef, JobState, JobStatus

FIRST_READ_S = 1.0
GROWTH = 1.5
MOST_S = 60.0
MISSES = 3
CONFIRM_S = 90.0

Clock = Callable[[], float]
T = TypeVar("T")


class Do(Enum):
    """What the generator asks its driver for; READ is answered with a JobStatus or the error that came instead.

    LOG may be answered with why the run is to be left alone.
    """

    READ = auto()
    CANCEL = auto()
    LOG = auto()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Ask to be woken after so many seconds; earlier is welcome (an event may come)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a wait ended. `timed_out`: past the deadline, so the run was cancelled (`status` is None if unconfirmed).

    `stuck`: it has not ended but waits for machines or quota, for longer than there was patience.
    `straggling` says why a run that goes on is silent for too long, and may be run again elsewhere.
    """

    status: JobStatus | None
    timed_out: bool = False
    stuck: bool = False
    straggling: str = ""


Step = Do | Sleep
Answer = JobStatus | GcpJobsError | str | None


class Log(Protocol):
    """A logger of Airflow's or of the standard library."""

    def info(self, msg: str, /, *args: Any) -> Any: ...
    def warning(self, msg: str, /, *args: Any) -> Any: ...
    def error(self, msg: str, /, *args: Any) -> Any: ...
    def log(self, level: int, msg: str, /, *args: Any) -> Any: ...


class Follower(Protocol):
    """Brings the run's log lines into the task log, at a pace of its own."""

    def poll(self) -> str | None:
        """Emit what is new, if it is time to look; gives why the run is to be left alone, where it is."""
        ...


class Remote(Protocol):
    """The part of a JobBackend that a wait in an event loop needs."""

    async def aget(self, ref: JobRef) -> JobStatus:
        """Read the run's status once; raises NotFound."""
        ...

    async def acancel(self, ref: JobRef) -> None:
        """Ask for the run's end."""
        ...


class Backoff:
    """Growing delays with jitter: a factor of 0.8 to 1.2 keeps a thousand waiters from marching in step."""

    def __init__(self, first: float, most: float, jitter: Callable[[], float] = random.random) -> None:
        self.first, self.most, self._jitter = first, most, jitter
        self.reset()

    def reset(self) -> None:
        """Start over at the first delay."""
        self._next = min(self.first, self.most)

    def take(self) -> float:
        """Seconds to wait now; the next will be longer."""
        delay = self._next
        self._next = min(delay * GROWTH, self.most)
        return delay * (0.8 + 0.4 * self._jitter())


def wait(
    ref: JobRef,
    *,
    deadline: float | None,
    period: float,
    log: Log,
    clock: Clock = time.time,
    told: bool = False,
    patience: float | None = None,
) -> Generator[Step, Answer, Ended]:
    """Wait until the run is over.

    :param deadline: epoch seconds after which the run is cancelled; None waits for ever
    :param period: longest time between two reads, in seconds; the first reads come sooner
    :param told: whether whoever drives the wait wakes it when the run ends: it then sleeps between
        good reads, but for the end of a deletion, which nobody tells of
    :param patience: seconds for which the run may want machines or quota before it starts; None: for ever
    :raises ApiError: reading is refused for good (permission)
    """
    pace, trouble, known, misses = Backoff(FIRST_READ_S, period), Backoff(FIRST_READ_S, MOST_S), None, 0
    while True:
        answer = yield Do.READ
        if isinstance(answer, JobStatus):
            misses = 0
            trouble.reset()
            if known is None or known.state is not answer.state:
                log.info("%s %s is %s", ref.noun.capitalize(), ref, answer.state)
                pace.reset()
            known = answer
        else:
            misses = _survive(answer, ref, misses, log)
            if misses >= MISSES:
                return Ended(_gone(ref, known))
        if known and known.terminal:
            return Ended(known)
        silent = yield Do.LOG
        if isinstance(silent, str):
            return Ended(known, straggling=silent)
        left = None if deadline is None else deadline - clock()
        if left is not None and left <= 0:
            log.error("%s %s is past its deadline and is being cancelled", ref.noun.capitalize(), ref)
            return Ended((yield from end(ref, log=log, clock=clock)), timed_out=True)
        look = _until_look(known, patience, clock())
        if look <= 0 and known is answer:
            return Ended(known, stuck=True)
        if answer is not known:
            delay = trouble.take()
        else:
            delay = look if told and not _deleted(known) else min(pace.take(), look)
        yield Sleep(delay if left is None else min(delay, max(left, 0.05)))


def end(
    ref: JobRef, *, log: Log, patience: float = CONFIRM_S, clock: Clock = time.time
) -> Generator[Step, Answer, JobStatus | None]:
    """Cancel a run and confirm its end: gives the terminal status, None when unconfirmed after `patience` seconds."""
    until, pace, asked, misses = clock() + patience, Backoff(0.5, 5.0), False, 0
    known: JobStatus | None = None
    while True:
        if not asked:
            refusal = yield Do.CANCEL
            asked = not isinstance(refusal, TransientApiError)
            if isinstance(refusal, GcpJobsError) and not isinstance(refusal, NotFound):
                log.warning("%s", refusal)
        answer = yield Do.READ
        if isinstance(answer, JobStatus):
            known = answer
            if known.terminal:
                log.info("%s %s ended: %s", ref.noun.capitalize(), ref, known.state)
                return known
        elif isinstance(answer, NotFound) and (misses := misses + 1) >= MISSES:
            return _gone(ref, known)
        if clock() > until:
            log.error("%s %s has not confirmed its end within %.0f s", ref.noun.capitalize(), ref, patience)
            return None
        yield Sleep(pace.take())


def _deleted(known: JobStatus | None) -> bool:
    return known is None or known.state is JobState.DELETION_IN_PROGRESS


def _until_look(known: JobStatus | None, patience: float | None, now: float) -> float:
    """Seconds until a run that has not started is to be looked at again, 0 if it lacks what it needs for too long."""
    if patience is None or known is None or known.created is None:
        return math.inf
    if known.started or known.state not in (JobState.QUEUED, JobState.SCHEDULED):
        return math.inf
    waited = now - known.created.timestamp()
    if waited >= patience and lacking(known):
        return 0.0
    return max(patience - waited % patience, 0.05)


def _survive(answer: Answer, ref: JobRef, misses: int, log: Log) -> int:
    """Count a miss, warn of a passing fault, raise what will not pass."""
    if isinstance(answer, NotFound):
        return misses + 1
    if isinstance(answer, TransientApiError | EmulatorUnreachable):
        log.warning("Still waiting for %s: %s", ref, answer)
        return 0
    raise answer if isinstance(answer, GcpJobsError) else TypeError("READ must be answered")


def _gone(ref: JobRef, known: JobStatus | None) -> JobStatus:
    last = f"last seen {known.state}" if known else "never seen"
    return replace(known or JobStatus(ref, JobState.GONE), state=JobState.GONE, message=last)


def patiently(
    ask: Callable[[], T], *, patience: float, log: Log, sleep: Callable[[float], None] = time.sleep,
    clock: Clock = time.monotonic,
) -> T:  # fmt: skip
    """Ask until the answer is no passing fault; raises the last one after `patience` seconds, want of quota never."""
    until, pace = clock() + patience, Backoff(FIRST_READ_S, 30.0)
    while True:
        try:
            return ask()
        except TransientApiError as error:
            if clock() > until and not isinstance(error, QuotaExhausted):
                raise
            log.warning("%s Trying again.", error)
            sleep(pace.take())


def drive(
    steps: Generator[Step, Answer, Any], backend: JobBackend, ref: JobRef, follower: Follower | None
) -> Any:
    """Do what the generator asks for, blocking; gives what it returns."""
    answer: Answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = None
        try:
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
            elif step is Do.READ:
                answer = backend.get(ref)
            elif step is Do.CANCEL:
                backend.cancel(ref)
            elif follower:
                answer = follower.poll()
        except GcpJobsError as error:
            answer = error


async def adrive(
    steps: Generator[Step, Answer, Any],
    backend: Remote,
    ref: JobRef,
    sleep: Callable[[float], Any] = asyncio.sleep,
) -> Any:
    """Async form of `drive`; log lines come by themselves. `sleep` may return early: a hub puts its own wait there."""
    answer: Answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = None
        try:
            if isinstance(step, Sleep):
                await sleep(step.seconds)
            elif step is Do.READ:
                answer = await backend.aget(ref)
            elif step is Do.CANCEL:
                await backend.acancel(ref)
        except GcpJobsError as error:
            answer = error
