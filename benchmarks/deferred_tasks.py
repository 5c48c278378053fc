"""Thousands of deferred tasks in an Airflow: how they come to be, and what they cost a triggerer."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from benchmarks.airflow_stack import PARSER, SCHEDULER, TRIGGERER, AirflowStack, Component, own_place
from benchmarks.embedded_cloud import embedded

from laptop.place import ROOT
from laptop.progress import Progress

HERE = Path(__file__).resolve().parent
DAGS = HERE / "end_to_end_dags"
FAILS = 10  # every tenth job will
NOBODY = "nobody"  # a pool without slots: its tasks stay scheduled
SETTINGS = {
    "AIRFLOW__CORE__MAX_MAP_LENGTH": "100000",
    "AIRFLOW__TRIGGERER__CAPACITY": "20000",
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "250",
    "BENCH_POOL": NOBODY,
}
SETTLED_S = 20.0
PATIENCE_S = 600.0
MIB = 2**20


def defer(stack: AirflowStack, count: int) -> None:
    """Start a run of bench_waiting and have all of its `count` tasks deferred; BENCH_JOBS must say `count` too."""
    stack.rows(
        "INSERT INTO slot_pool (pool, slots, description, include_deferred) VALUES (%s, 0, '', false)", NOBODY
    )
    stack.run_dag("bench_waiting")
    stack.wait(lambda: stack.states("job") == {"scheduled": count}, f"{count} tasks are made", PATIENCE_S)
    with (stack.place.logs / "defer_many.log").open("wb") as log:
        environment = stack.env | {"PYTHONPATH": str(ROOT / "plugins")}
        argv = [sys.executable, str(HERE / "defer_many.py"), str(FAILS)]
        with subprocess.Popen(
            argv, env=environment, cwd=stack.place.state, stdout=log, stderr=log
        ) as process:
            stack.wait(lambda: process.poll() is not None, f"{count} jobs are submitted", PATIENCE_S)
    if stack.states("job") != {"deferred": count}:
        raise RuntimeError(f"not all tasks were deferred: {log.name}")


def free(stack: AirflowStack) -> None:
    """Let the tasks run on when their triggers have fired."""
    stack.rows("UPDATE slot_pool SET slots = 100000 WHERE pool = %s", NOBODY)


def taken(stack: AirflowStack, name: str, count: int) -> None:
    """Wait until the triggerer of that name runs `count` triggers: each has begun a log of its own by then."""
    supervisor = stack.components[name].processes()[0]
    logs = stack.place.airflow_home / "logs" / "dag_id=bench_waiting"

    def all_run() -> bool:
        number = stack.rows("SELECT max(id) FROM job WHERE job_type = 'TriggererJob'")[0][0]
        return int(supervisor.num_fds()) >= count == len(list(logs.glob(f"*/*/*/*.log.trigger.{number}.log")))

    stack.wait(all_run, f"{name} takes {count} triggers", PATIENCE_S)


def measured(count: int, progress: Progress) -> dict[str, Any]:
    """Memory (RSS, MiB) and open files of a triggerer's supervisor and of its runner, idle and with `count` waits."""
    settings = SETTINGS | {"BENCH_JOBS": str(count)}
    with own_place("deferred") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        stack = ending.enter_context(AirflowStack(place, cloud.exports, DAGS, settings, progress))
        cloud.hold("waiting-0")
        stack.start_all()
        idle = _sizes(stack.components[TRIGGERER])
        defer(stack, count)
        for kind in (SCHEDULER, PARSER):
            stack.components[kind].stop()
        taken(stack, TRIGGERER, count)
        time.sleep(SETTLED_S)
        full = _sizes(stack.components[TRIGGERER])
        stack.components[TRIGGERER].kill()
    figures = {f"{name}_{what}": value for name, sizes in full.items() for what, value in sizes.items()}
    before = {f"idle_{name}_{what}": value for name, sizes in idle.items() for what, value in sizes.items()}
    return {"deferred_tasks": count, **figures, **before}


def _sizes(triggerer: Component) -> dict[str, dict[str, float]]:
    supervisor, runner = (psutil.Process(each.pid) for each in triggerer.processes()[:2])
    return {
        name: {"rss_mib": round(one.memory_info().rss / MIB, 1), "fds": one.num_fds()}
        for name, one in (("triggerer", runner), ("supervisor", supervisor))
    }
