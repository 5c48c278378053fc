"""A triggerer is killed while very many tasks wait in it; another takes over.

`triggerer_killed` is for `make faults`; `python benchmarks/faults_triggerer.py [WAITING]` runs it alone.
"""

import os
import resource
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks import deferred_tasks  # noqa: E402, I001
from benchmarks.airflow_stack import TRIGGERER, AirflowStack, own_place  # noqa: E402
from benchmarks.embedded_cloud import EmbeddedCloud, embedded  # noqa: E402
from laptop.progress import Progress  # noqa: E402

OTHER = "triggerer-2"
QUIET_S = 120.0
RESUME_S = 2.0  # generous, for what a task costs one of two slow cores once its trigger has fired
UNSEEN_S = 5
SETTINGS = deferred_tasks.SETTINGS | {
    "AIRFLOW__CORE__EXECUTOR": "warm_executor.WarmExecutor",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(UNSEEN_S),
    "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("benchmarks/end_to_end_site", "plugins")),
}


def triggerer_killed(waiting: int, progress: Progress) -> tuple[bool, str]:
    """SIGKILL for a triggerer in which `waiting` tasks wait for their jobs: whether all went well, what was seen."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = SETTINGS | {"BENCH_JOBS": str(waiting)}
    with own_place("triggerer-killed") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        stack = AirflowStack(place, cloud.exports, deferred_tasks.DAGS, settings, progress)
        ending.enter_context(stack).start_all()
        held = cloud.hold("waiting-0")
        deferred_tasks.defer(stack, waiting)
        deferred_tasks.taken(stack, TRIGGERER, waiting)
        seconds = _takeover(stack, waiting)
        deferred_tasks.free(stack)
        cloud.release(held)
        ended, patience = {"success", "failed"}, QUIET_S + waiting * RESUME_S
        stack.wait(lambda: set(stack.states("job")) <= ended, f"{waiting} tasks end", patience)
        return _judged(stack.states("job"), cloud, waiting, seconds)


def _takeover(stack: AirflowStack, waiting: int) -> float:
    """Kill the triggerer and start another; seconds until that one runs all triggers."""
    stack.components[TRIGGERER].kill()
    killed = time.monotonic()
    stack.progress.say(f"triggerer killed while {waiting} tasks wait; starting another")
    stack.start(TRIGGERER, OTHER)
    deferred_tasks.taken(stack, OTHER, waiting)
    return time.monotonic() - killed


def _judged(states: dict[str, int], cloud: EmbeddedCloud, waiting: int, seconds: float) -> tuple[bool, str]:
    """By Airflow's states, the jobs' states and the calls that the emulator counted."""
    jobs = Counter(str(job.status.state.name).lower() for job in cloud.jobs())
    creates, cancels = cloud.count("CreateJob"), cloud.count("CancelJob", "DeleteJob")
    fail = -(-waiting // deferred_tasks.FAILS)
    right = states == {"success": waiting - fail, "failed": fail}
    ok = (
        right and jobs == {"succeeded": waiting - fail, "failed": fail} and (creates, cancels) == (waiting, 0)
    )
    return ok, (
        f"{waiting} tasks waited; another triggerer ran all their triggers {seconds:.1f} s after the kill "
        f"(heartbeats missing for {UNSEEN_S} s count as death); tasks: {_told(states)}; jobs: {_told(jobs)}; "
        f"{creates} times CreateJob, {cancels} times CancelJob or DeleteJob"
    )


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def main() -> None:
    """Exit code 1 when a task or a job did not end as it should have."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        good, text = triggerer_killed(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, Progress())
    except KeyboardInterrupt:
        sys.exit("stopped; what it started is ended")
    print(text)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
