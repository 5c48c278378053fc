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
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.airflow_stack import keep  # noqa: E402
from benchmarks.hazards_cases import HAZARDS, Case, Hazard  # noqa: E402
from benchmarks.hazards_prompt import Prompt, prompts, summary  # noqa: E402
from benchmarks.hazards_world import QUIET_S, Run, World, after, world  # noqa: E402

from laptop.progress import Progress  # noqa: E402


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one task's jobs; `cancel`: how soon its cancel call came, where that is told."""

    hazard: str
    way: str
    action: str
    expected: str
    seen: str
    tries: int
    ok: bool
    cancel: Prompt | None = None


def judged(here: World, hazard: Hazard) -> list[Verdict]:
    """Let one hazard happen: what became of each job."""
    here.stack.progress.say(f"hazard: {hazard.name}")
    runs = hazard.begin(here, [way for way, _ in hazard.cases])
    before = [(run, here.task(run)[2]) for run in runs if not run.deferred]
    since = time.time()
    hazard.strike(here, runs)
    cases = dict(zip(runs, hazard.cases, strict=True))
    for run, (_, action) in cases.items():
        here.act(run, action)
    hazard.heal(here, runs)

    def right(run: Run) -> bool:
        wanted, (_, action) = hazard.expected(cases[run]), cases[run]
        return here.jobs().get(run.run_id) == wanted and _well(here, run, action)

    def left_behind(run: Run, pid: int | None) -> bool:
        """Whether the process still lives though its try is over."""
        return pid is not None and psutil.pid_exists(pid) and here.task(run)[::2] != ("running", pid)

    here.settle(lambda: all(map(right, runs)), "jobs are cancelled that must be")
    here.settle(
        lambda: not any(left_behind(*each) for each in before), "processes of tries that are over end"
    )
    here.stack.progress.wait(after(QUIET_S), "nothing else is cancelled", QUIET_S + 5)
    verdicts = [_verdict(here, hazard, run, case, since) for run, case in cases.items()]
    here.clean(runs)
    return verdicts


def _verdict(here: World, hazard: Hazard, run: Run, case: Case, since: float) -> Verdict:
    jobs, wants = here.named_jobs().get(run.run_id, []), hazard.expected(case)
    has, well = [state for _, state in jobs], _well(here, run, case[1])
    names, cancels = [name for name, _ in jobs], here.cloud.cancels()
    soon = list(prompts(here.told, cancels, names, since)) if hazard.timed else []
    return Verdict(
        hazard.name,
        run.way,
        case[1] or "nothing",
        _told(wants),
        _told(has) if well else f"{_told(has)}, task {here.task(run)[0]}",
        here.task(run)[1],
        has == wants and well,
        soon[0] if soon else None,
    )


def _well(here: World, run: Run, action: str) -> bool:
    """Whether a task is what its user said, and one whose job is to end well has ended well too."""
    if action in ("failed", "success"):
        return here.task(run)[0] == action
    return "ends" not in run.way or here.task(run)[0] == "success"


def _told(states: Sequence[str]) -> str:
    return ", ".join(state.lower() for state in states)


def failed(hazard: Hazard, error: TimeoutError) -> list[Verdict]:
    """What is said of a hazard that could not be made to happen."""
    return [
        Verdict(
            hazard.name, way, action or "nothing", _told(hazard.expected((way, action))), str(error), 0, False
        )
        for way, action in hazard.cases
    ]


def run(names: Sequence[str], progress: Progress) -> list[Verdict]:
    """Let these hazards happen, one after the other, in one Airflow."""
    found = []
    with world(progress) as here:
        for name in names:
            try:
                found += judged(here, HAZARDS[name])
            except TimeoutError as error:
                found += failed(HAZARDS[name], error)
        if not all(each.ok for each in found):
            keep(here.stack.place)
            progress.say(f"what it left stays in {here.stack.place.state}")
    return found


def main() -> None:
    """Prints and writes; exit code 1 when a job was cancelled wrongly, or not, or doubled."""
    options = argparse.ArgumentParser(description="Every hazard of cancelling, on a real Airflow.")
    options.add_argument("only", nargs="*", choices=[*HAZARDS, []], help="some of them; all without")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = run(asked.only or [name for name in HAZARDS if name != "quick"], Progress())
    soon = summary([each.cancel for each in found])
    Console(width=None if sys.stdout.isatty() else 130).print(table(found))
    print(
        f"seconds to the cancel call, since our code was told: {soon['told_s']}, since it knew: {soon['known_s']}"
    )
    (ROOT / "build").mkdir(exist_ok=True)
    said = {
        "cases": len(found),
        "wrong": sum(not each.ok for each in found),
        "cancel": soon,
        "verdicts": list(map(asdict, found)),
    }
    (ROOT / "build" / "hazards.json").write_text(json.dumps(said, indent=2) + "\n")
    sys.exit(1 if said["wrong"] else 0)


def table(found: Sequence[Verdict]) -> Table:
    """For people; `told` and `known` are seconds until the cancel call."""
    made = Table("what happened", "task", "the user", "expected", "seen", "try", "told", "known", "")
    for each in found:
        times = [f"{each.cancel.told_s:.1f}", f"{each.cancel.known_s:.1f}"] if each.cancel else ["", ""]
        said = (each.hazard, each.way, each.action, each.expected, each.seen, str(each.tries))
        made.add_row(*said, *times, "ok" if each.ok else "WRONG")
    return made


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
