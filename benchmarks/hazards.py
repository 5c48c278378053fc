"""`make hazards`: who ends a task, and does its job end with it? Every hazard of cancelling, on a real Airflow.

Users mark, clear and fail; triggerers stall, stop and die; schedulers are killed and leave their tasks' processes
behind; workers are evicted; the API server is away; and all of it at once. Judged by the cloud's own record: after a
user's word the job is cancelled (after a clear another goes on), else the very same job goes on, and never two.

Writes build/hazards.json.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.airflow_stack import SCHEDULER, TRIGGERER  # noqa: E402
from benchmarks.hazards_world import QUIET_S, Run, World, world  # noqa: E402

from laptop.progress import Progress  # noqa: E402

Case = tuple[str, str]  # which DAG, and what the user does: "" is nothing
EXPECTED = {
    "": ["GOING"],
    "failed": ["CANCELLED"],
    "success": ["CANCELLED"],
    "run failed": ["CANCELLED"],
    "clear": ["CANCELLED", "GOING"],
}
BOTH = ("batch_deferred", "batch_sync")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one task's jobs."""

    hazard: str
    way: str
    action: str
    expected: str
    seen: str
    tries: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Hazard:
    """What happens to Airflow: before the users act (`strike`), and after (`heal`)."""

    name: str
    cases: tuple[Case, ...]
    strike: Callable[[World, Sequence[Run]], None] = lambda *_: None
    heal: Callable[[World, Sequence[Run]], None] = lambda *_: None


def expected(case: Case) -> list[str]:
    """The states of the task's jobs in the end."""
    way, action = case
    if "last" in way:  # its worker is killed, and no other try comes
        return ["CANCELLED"]
    return ["GOING"] if way.endswith("kept") else EXPECTED[action]


def judged(here: World, hazard: Hazard) -> list[Verdict]:
    """Let one hazard happen: what became of each job."""
    here.stack.progress.say(f"hazard: {hazard.name}")
    runs = here.begin([way for way, _ in hazard.cases])
    before = [here.task(run)[2] for run in runs if not run.deferred]
    hazard.strike(here, runs)
    for run, (_, action) in zip(runs, hazard.cases, strict=True):
        here.act(run, action)
    hazard.heal(here, runs)
    wanted = {run.run_id: expected(case) for run, case in zip(runs, hazard.cases, strict=True)}

    def right() -> bool:
        seen = here.jobs()
        return all(seen.get(run) == states for run, states in wanted.items())

    def left_behind() -> bool:
        ended = hazard.name.startswith(("no fault", "triggerer"))
        return not ended and any(pid and psutil.pid_exists(pid) for pid in before)

    here.settle(right, "jobs are cancelled that must be")
    here.settle(lambda: not left_behind(), "processes of tries that are over end")
    here.stack.progress.wait(_after(QUIET_S), "nothing else is cancelled", QUIET_S + 5)
    seen = here.jobs()
    verdicts = []
    for run, (_, action) in zip(runs, hazard.cases, strict=True):
        wants, has = wanted[run.run_id], seen.get(run.run_id, [])
        told = (_told(wants), _told(has), here.task(run)[1], has == wants)
        verdicts.append(Verdict(hazard.name, run.way, action or "nothing", *told))
    here.clean(runs)
    return verdicts


def _after(seconds: float) -> Callable[[], bool]:
    from time import monotonic

    until = monotonic() + seconds
    return lambda: monotonic() >= until


def _told(states: Sequence[str]) -> str:
    return ", ".join(state.lower() for state in states)


def _stall(here: World, runs: Sequence[Run]) -> None:
    here.freeze_triggerer()
    here.taken_over(runs)


def _unstall(here: World, runs: Sequence[Run]) -> None:
    here.thaw_triggerer()
    here.stack.progress.wait(_after(QUIET_S), "the stalled triggerer finds its rows gone", QUIET_S + 5)
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


def _tried_again(here: World, runs: Sequence[Run]) -> None:
    """Wait for the next try of each task that nobody ended."""

    def again(run: Run) -> bool:
        state, number, _ = here.task(run)
        return run.deferred or state in ("failed", "success") or (number > 1 and here.waiting(run))

    here.settle(lambda: all(map(again, runs)), "tasks are tried again")


def _api_away(here: World, runs: Sequence[Run]) -> None:
    here.stall_api(45)


def each(*actions: str, ways: Sequence[str] = BOTH) -> tuple[Case, ...]:
    """Every action in every way of waiting."""
    return tuple((way, action) for way in ways for action in actions)


USER = Hazard(
    "no fault",
    (*each("failed", "success", "run failed", "clear"), ("batch_kept", "failed"),
     *each("failed", "clear", ways=("run_deferred", "run_sync"))),
)  # fmt: skip
HAZARDS = {
    "user": USER,
    "stall": Hazard("triggerer stalls (B)", each("", "clear", "failed", ways=("batch_deferred", "run_deferred")),
                    _stall, _unstall),
    "stop": Hazard("triggerer stopped", each("", ways=("batch_deferred", "run_deferred")), _triggerer_stopped),
    "kill": Hazard("triggerer killed", each("", "clear", ways=("batch_deferred", "run_deferred")), _triggerer_killed),
    "scheduler": Hazard("scheduler killed (C)", each("", "clear", "failed", ways=(*BOTH, "run_sync")),
                        _scheduler_killed, _tried_again),
    "evict": Hazard("workers evicted", each("", ways=("batch_sync", "run_sync")), _evicted, _tried_again),
    "worker": Hazard("workers killed", each("", ways=("batch_sync", "run_sync")), _workers_killed, _tried_again),
    "last": Hazard("no try left", each("", ways=("batch_last_sync", "run_last_sync")), _workers_killed, _tried_again),
    "api": Hazard("API server away", each("", ways=(*BOTH, "run_sync")), _api_away),
    "quick": Hazard("triggerer stalls (B)", (*each("", "clear", "failed", ways=("batch_deferred",)),
                                             *each("failed", ways=("run_sync",)), ("batch_last_sync", "")),
                    _stall_and_kill, _unstall),
    "all": Hazard("B and C at once", each("", "clear", "failed"), _all_at_once, _unstall),
}  # fmt: skip


def run(names: Sequence[str], progress: Progress) -> list[Verdict]:
    """Let these hazards happen, one after the other, in one Airflow."""
    with world(progress) as here:
        return [verdict for name in names for verdict in judged(here, HAZARDS[name])]


def main() -> None:
    """Prints and writes; exit code 1 when a job was cancelled wrongly, or not, or doubled."""
    options = argparse.ArgumentParser(description="Every hazard of cancelling, on a real Airflow.")
    options.add_argument("only", nargs="*", choices=[*HAZARDS, []], help="some of them; all without")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = run(asked.only or [name for name in HAZARDS if name != "quick"], Progress())
    table = Table("what happened", "task", "the user", "expected", "seen", "try", "")
    for each_ in found:
        table.add_row(
            each_.hazard,
            each_.way,
            each_.action,
            each_.expected,
            each_.seen,
            str(each_.tries),
            "ok" if each_.ok else "WRONG",
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    (ROOT / "build").mkdir(exist_ok=True)
    said = {
        "cases": len(found),
        "wrong": sum(not each_.ok for each_ in found),
        "verdicts": list(map(asdict, found)),
    }
    (ROOT / "build" / "hazards.json").write_text(json.dumps(said, indent=2) + "\n")
    sys.exit(1 if said["wrong"] else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
