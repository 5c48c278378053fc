"""The hazards: what happens to Airflow, while which tasks wait, and what their users do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
from benchmarks.airflow_stack import SCHEDULER, TRIGGERER
from benchmarks.hazards_world import PATIENCE_S, QUIET_S, Run, World, after

API_AWAY_S = 180.0
SOON_S = 30.0
Case = tuple[str, str]  # which DAG, and what the user does: "" is nothing
EXPECTED = {
    "": ["GOING"],
    "failed": ["CANCELLED"],
    "success": ["CANCELLED"],
    "run failed": ["CANCELLED"],
    "clear": ["CANCELLED", "GOING"],
    "Ctrl-C": ["CANCELLED"],
}
BATCH = ("batch_deferred", "batch_sync")
DEFERRED = ("batch_deferred", "run_deferred")
SYNC = ("batch_sync", "run_sync")
ALL = (*DEFERRED, *SYNC)


@dataclass(frozen=True, slots=True)
class Hazard:
    """What happens to Airflow: before the users act (`strike`), and after (`heal`).

    :param ended: whether all tasks end by it without another try, and their jobs with them
    :param timed: whether it is told how soon the cancel calls come: the first that our code hears of it is the reason
    """

    name: str
    cases: tuple[Case, ...]
    strike: Callable[[World, Sequence[Run]], None] = lambda *_: None
    heal: Callable[[World, Sequence[Run]], None] = lambda *_: None
    begin: Callable[[World, Sequence[str]], list[Run]] = World.begin
    ended: bool = False
    timed: bool = False

    def expected(self, case: Case) -> list[str]:
        """The states of a task's jobs in the end."""
        way, action = case
        if self.ended or "last" in way:
            return ["CANCELLED"]
        if "ends" in way:
            return ["SUCCEEDED"]
        return ["GOING"] if way.endswith("kept") else EXPECTED[action]


def _stall(here: World, runs: Sequence[Run]) -> None:
    here.freeze_triggerer()
    here.taken_over(runs)


def _unstall(here: World, runs: Sequence[Run]) -> None:
    here.thaw_triggerer()
    _unstalled(here, runs)


def _unstalled(here: World, runs: Sequence[Run]) -> None:
    here.stack.progress.wait(after(QUIET_S), "the stalled triggerer finds its rows gone", QUIET_S + 5)
    here.stop_frozen()


def _triggerer_stopped(here: World, runs: Sequence[Run]) -> None:
    here.stack.components[here.newest[TRIGGERER]].stop()
    here.another(TRIGGERER)
    here.taken_over(runs)


def _triggerer_killed(here: World, runs: Sequence[Run]) -> None:
    here.kill(TRIGGERER, alone=False)
    here.another(TRIGGERER)
    here.taken_over(runs)


def _scheduler_killed(here: World, runs: Sequence[Run]) -> None:
    here.kill(SCHEDULER, alone=True)
    here.another(SCHEDULER)


def _all_at_once(here: World, runs: Sequence[Run]) -> None:
    here.freeze_triggerer()
    here.kill(SCHEDULER, alone=True)
    here.another(SCHEDULER)
    here.taken_over(runs)


def _evicted(here: World, runs: Sequence[Run]) -> None:
    for run in runs:
        if not run.deferred:
            here.end_worker(run, kindly=True)


def _workers_killed(here: World, runs: Sequence[Run]) -> None:
    for run in runs:
        if not run.deferred:
            here.end_worker(run, kindly=False)


def _stall_and_kill(here: World, runs: Sequence[Run]) -> None:
    _workers_killed(here, [run for run in runs if "last" in run.way])
    _stall(here, runs)


def _nobody(here: World, runs: Sequence[Run]) -> None:
    """Neither a worker nor a triggerer lives; a killed worker's task waits for its next try."""
    here.kill(TRIGGERER, alone=False)
    _workers_killed(here, runs)

    def given_up(run: Run) -> bool:
        return run.deferred or here.task(run)[0] == "up_for_retry"

    here.stack.wait(
        lambda: all(map(given_up, runs)), "killed workers' tasks are to be tried again", PATIENCE_S
    )


def _triggerer_again(here: World, runs: Sequence[Run]) -> None:
    """Nothing that waits for a job begins again before the jobs' fate is sealed."""

    def ended(run: Run) -> bool:
        return here.jobs().get(run.run_id) == ["CANCELLED"]

    here.stack.wait(
        lambda: all(ended(run) for run in runs if not run.way.endswith("kept")), "jobs end", SOON_S
    )
    here.another(TRIGGERER)


def _tried_again(here: World, runs: Sequence[Run]) -> None:
    """Wait for the next try of each task that nobody ended."""

    def again(run: Run) -> bool:
        state, number, _ = here.task(run)
        return run.deferred or state in ("failed", "success") or (number > 1 and here.waiting(run))

    here.settle(lambda: all(map(again, runs)), "tasks are tried again")


def _api_away(here: World, runs: Sequence[Run]) -> None:
    """Beyond some 115 s workers give up, and call on_kill while nobody answers."""
    here.stall_api(API_AWAY_S)


def _waited_for_again(here: World, runs: Sequence[Run]) -> None:
    def again(run: Run) -> bool:
        if "ends" in run.way:
            return here.task(run)[0] in ("success", "failed")
        return here.waiting(run) and (run.deferred or psutil.pid_exists(here.task(run)[2] or 0))

    here.settle(
        lambda: all(map(again, runs)), "tasks wait again, or have found their finished jobs", API_AWAY_S
    )


def _stall_while_resuming(here: World, runs: Sequence[Run]) -> None:
    """The stalled triggerer comes back, and finds its rows gone, while tasks resume only to defer again."""
    first = {run.run_id: here.trigger(run) for run in runs}
    _stall(here, runs)
    here.stack.wait(
        lambda: any(here.task(run)[0] != "deferred" for run in runs), "a task resumes", PATIENCE_S
    )
    here.thaw_triggerer()

    def anew(run: Run) -> bool:
        return here.trigger(run) not in (None, first[run.run_id])

    here.stack.wait(lambda: all(map(anew, runs)), "all have deferred again", PATIENCE_S)


def _refused(here: World, runs: Sequence[Run]) -> None:
    """Reading the jobs is refused for good; an end can only be confirmed once it is allowed again."""
    fault = here.cloud.refuse("GetJob", "GetExecution")

    def none_goes_on() -> bool:
        return not any("GOING" in here.jobs()[run.run_id] for run in runs)

    here.settle(none_goes_on, "jobs are cancelled whose waits broke")
    here.cloud.release(fault)


def each(*actions: str, ways: Sequence[str] = BATCH) -> tuple[Case, ...]:
    """Every action in every way of waiting."""
    return tuple((way, action) for way in ways for action in actions)


def every(*ways: str) -> tuple[Case, ...]:
    """These ways on both backends, and no user who does anything."""
    return tuple((f"{backend}_{way}", "") for way in ways for backend in ("batch", "run"))


MARKS = ("failed", "success", "run failed")
ENDED_BY_USERS = (*MARKS, "clear")
HAZARDS = {
    "user": Hazard("no fault", (*each(*ENDED_BY_USERS), ("batch_kept", "failed")), timed=True),
    "user-run": Hazard("no fault", (*each(*ENDED_BY_USERS, ways=("run_deferred", "run_sync")), ("run_kept", "failed")),
                       timed=True),
    "time": Hazard("its time is up", every("timeout_deferred", "timeout_sync", "deadline_deferred", "deadline_sync"),
                   ended=True, timed=True),
    "refused": Hazard("reads are refused", each("", ways=ALL), _refused, ended=True, timed=True),
    "hand": Hazard("airflow dags test", each("Ctrl-C", ways=ALL), begin=World.begin_by_hand, timed=True),
    "stall": Hazard("triggerer stalls (B)", each("", "clear", "failed", ways=DEFERRED), _stall, _unstall),
    "resumes": Hazard("triggerer stalls, resumes", every("resumes_deferred"), _stall_while_resuming, _unstalled),
    "stop": Hazard("triggerer stopped", each("", ways=DEFERRED), _triggerer_stopped),
    "kill": Hazard("triggerer killed", each("", "clear", ways=DEFERRED), _triggerer_killed),
    "scheduler": Hazard("scheduler killed (C)", each("", "clear", "failed", ways=ALL),
                        _scheduler_killed, _tried_again),
    "evict": Hazard("workers evicted", each("", ways=SYNC), _evicted, _tried_again),
    "worker": Hazard("workers killed", each("", ways=SYNC), _workers_killed, _tried_again),
    "last": Hazard("no try left", every("last_sync", "mapped_last_sync"), _workers_killed, _tried_again),
    "nobody": Hazard("nobody waits any more", (*each(*MARKS, ways=("batch_deferred", "run_late_sync")),
                                               *each("failed", ways=("run_deferred", "batch_kept")),
                                               *each("run failed", ways=("batch_late_sync",))),
                     _nobody, _triggerer_again),
    "api": Hazard(f"API away for {API_AWAY_S:.0f} s", (*each("", ways=ALL), *every("ends_deferred", "ends_sync")),
                  _api_away, _waited_for_again),
    "quick": Hazard("triggerer stalls (B)", (*each("", "clear", "failed", ways=("batch_deferred",)),
                                             *each("failed", ways=("run_sync",)), ("batch_last_sync", ""),
                                             ("run_mapped_last_sync", "")),
                    _stall_and_kill, _unstall),
    "all": Hazard("B and C at once", each("", "clear", "failed"), _all_at_once, _unstall),
    "all-run": Hazard("B and C at once", each("", "clear", "failed", ways=("run_deferred", "run_sync")),
                      _all_at_once, _unstall),
}  # fmt: skip
