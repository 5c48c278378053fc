"""What a hazard happens to: a real Airflow, its tasks and their jobs, seen by Airflow's database and by the cloud."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
from benchmarks.airflow_stack import API, SCHEDULER, TRIGGERER, AirflowStack, own_place
from benchmarks.embedded_cloud import PARENT, EmbeddedCloud, embedded
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport

from laptop import environment
from laptop.place import ROOT, Place
from laptop.progress import Progress
from laptop.run import migrate

DAGS = ROOT / "benchmarks" / "hazards_dags"
UNSEEN_S = 6
QUIET_S = 10.0  # an on_kill that is wrong comes within it
PATIENCE_S = 150.0
SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "warm_executor.WarmExecutor",
    "AIRFLOW__CORE__PARALLELISM": "12",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(UNSEEN_S),
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(UNSEEN_S),
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "GCP_JOBS_STATUS_TOPIC": "",
    "PYTHONPATH": os.pathsep.join(
        str(ROOT / each) for each in ("benchmarks/hazards_site", "benchmarks/end_to_end_site", "plugins")
    ),
}
BY_HAND_S = 5.0  # from the start of a job to its wait, in `airflow dags test`


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run with one task `job`; `by_hand`: the process of `airflow dags test` that runs it."""

    way: str
    run_id: str
    by_hand: subprocess.Popen[bytes] | None = None

    @property
    def deferred(self) -> bool:
        """Whether the task waits in the triggerer."""
        return not self.way.endswith("_sync")


@dataclass
class World:
    """An Airflow whose components are replaced when they die, and the cloud.

    `told`: what hazards_site writes
    """

    stack: AirflowStack
    cloud: EmbeddedCloud
    told: Path
    newest: dict[str, str] = field(default_factory=lambda: {SCHEDULER: SCHEDULER, TRIGGERER: TRIGGERER})
    frozen: str = ""
    _by_hand: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # what is seen

    def jobs(self) -> dict[str, list[str]]:
        """States of the jobs of each DAG run, oldest first, as the cloud has them; "" where a job names no run."""
        return {run: [state for _, state in found] for run, found in self.named_jobs().items()}

    def named_jobs(self) -> dict[str, list[tuple[str, str]]]:
        """The same with the full name of each."""
        found: dict[str, list[tuple[Any, str, str]]] = {}
        for job in self.cloud.jobs():
            state = str(job.status.state.name)
            going = state in ("QUEUED", "SCHEDULED", "RUNNING")
            run = job.task_groups[0].task_spec.runnables[0].environment.variables.get("GCP_JOBS_RUN_ID", "")
            found.setdefault(run, []).append((job.create_time, job.name, "GOING" if going else state))
        with grpc.insecure_channel(self.cloud.grpc) as channel:
            api = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
            for each in api.list_executions(parent=f"{PARENT}/jobs/-"):
                env = {var.name: var.value for var in each.template.containers[0].env}
                known = (each.create_time, each.name, _state(each))
                found.setdefault(env.get("GCP_JOBS_RUN_ID", ""), []).append(known)
        return {run: [(name, state) for _, name, state in sorted(jobs)] for run, jobs in found.items()}

    def task(self, run: Run) -> tuple[str, int, int | None]:
        """State, try and process of a run's task."""
        query = "SELECT coalesce(state, 'none'), try_number, pid FROM task_instance WHERE dag_id = %s AND run_id = %s"
        rows = self.stack.rows(query, run.way, run.run_id)
        return rows[0] if rows else ("none", 0, None)

    def trigger(self, run: Run) -> int | None:
        """Which trigger a run's task waits for."""
        query = "SELECT trigger_id FROM task_instance WHERE dag_id = %s AND run_id = %s"
        rows = self.stack.rows(query, run.way, run.run_id)
        return rows[0][0] if rows else None

    def waiting(self, run: Run) -> bool:
        """Whether the run's job goes on and its task waits for it, a deferred one in a triggerer."""
        if self.jobs().get(run.run_id, [])[-1:] != ["GOING"]:
            return False
        if not run.deferred:
            return self.task(run)[0] == "running" and self._owns(run)
        query = (
            "SELECT 1 FROM task_instance i JOIN trigger t ON t.id = i.trigger_id JOIN job j ON j.id = t.triggerer_id "
            "WHERE i.dag_id = %s AND i.run_id = %s AND j.state = 'running'"
        )
        return bool(self.stack.rows(query, run.way, run.run_id))

    def _owns(self, run: Run) -> bool:
        query = "SELECT 1 FROM xcom WHERE dag_id = %s AND run_id = %s AND key = 'gcp_jobs_owner'"
        return bool(self.stack.rows(query, run.way, run.run_id))

    # what a user does

    def begin(self, ways: Sequence[str]) -> list[Run]:
        """Start a run of each DAG and wait until all jobs are waited for."""
        runs = [Run(way, self.stack.run_dag(way)) for way in ways]

        def all_wait() -> bool:
            for at, run in enumerate(runs):
                if self.task(run)[0] == "failed" and run.run_id not in self.jobs():
                    runs[at] = Run(run.way, self.stack.run_dag(run.way))  # too busy an Airflow lost the start
            return all(map(self.waiting, runs))

        self.stack.wait(all_wait, f"{len(runs)} jobs are waited for", PATIENCE_S)
        return runs

    def begin_by_hand(self, ways: Sequence[str]) -> list[Run]:
        """Run each DAG by `airflow dags test`, in an Airflow of its own, until its job is waited for."""
        runs = []
        place = Place.of("by-hand", self.stack.place.state)
        keep = ("AIRFLOW__CORE__DAGS_FOLDER", "PYTHONPATH", "HAZARDS_TOLD", "GCP_JOBS_STATUS_TOPIC")
        env = environment.airflow(place, self.cloud.exports, "http://127.0.0.1:9/v1")
        env |= {name: self.stack.env[name] for name in keep}
        migrate(place, env, self.stack.progress)
        for way in ways:
            known = self.jobs().keys()
            argv = [sys.executable, "-m", "airflow", "dags", "test", way]
            with (place.logs / f"{way}.log").open("wb") as out:
                process = subprocess.Popen(
                    argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
                )
            self._by_hand.append(process)

            def begun(known: Collection[str] = known) -> set[str]:
                return {run for run, states in self.jobs().items() if states == ["GOING"]} - set(known)

            self.stack.wait(lambda: bool(begun()), f"airflow dags test {way} starts its job", PATIENCE_S)
            runs.append(Run(way, begun().pop(), process))
        time.sleep(BY_HAND_S)
        return runs

    def end_by_hand(self) -> None:
        """End what a failure left of them."""
        for process in self._by_hand:
            process.kill()
            process.wait()

    def act(self, run: Run, action: str) -> None:
        """Do what a user does with the UI's buttons."""
        here = f"/api/v2/dags/{run.way}"
        if action == "clear":
            body = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": ["job"], "only_failed": False}
            self.stack.rest("POST", f"{here}/clearTaskInstances", body)
        elif action == "run failed":
            self.stack.rest("PATCH", f"{here}/dagRuns/{run.run_id}", {"state": "failed"})
        elif action == "Ctrl-C" and run.by_hand:
            run.by_hand.send_signal(signal.SIGINT)
        elif action in ("failed", "success"):
            self.stack.rest("PATCH", f"{here}/dagRuns/{run.run_id}/taskInstances/job", {"new_state": action})

    def clean(self, runs: Sequence[Run]) -> None:
        """End what a phase has left; a job that was kept stays."""
        runs = [run for run in runs if not run.by_hand]
        for run in runs:
            self.act(run, "run failed")
        ended = {"failed", "success", "skipped", "removed"}
        self.stack.wait(lambda: all(self.task(run)[0] in ended for run in runs), "the phase's tasks end")

    # what a bad night does

    def another(self, kind: str) -> None:
        """Start another component of this kind, under a name of its own."""
        name = f"{kind}-{len(self.stack.components)}"
        self.stack.start(kind, name)
        self.newest[kind] = name

    def kill(self, kind: str, *, alone: bool) -> None:
        """SIGKILL."""
        self.stack.components[self.newest[kind]].kill(alone=alone)

    def freeze_triggerer(self) -> None:
        """A stall of the triggerer; another one takes over."""
        self.frozen = self.newest[TRIGGERER]
        self.stack.components[self.frozen].freeze()
        self.another(TRIGGERER)

    def taken_over(self, runs: Sequence[Run]) -> None:
        """Wait until every deferred run is in a triggerer that lives."""
        time.sleep(UNSEEN_S)
        deferred = [run for run in runs if run.deferred]
        self.stack.wait(lambda: all(self._moved(run) for run in deferred), "triggers move", PATIENCE_S)

    def _moved(self, run: Run) -> bool:
        query = (
            "SELECT max(j.id) = (SELECT max(id) FROM job WHERE job_type = 'TriggererJob') FROM task_instance i "
            "JOIN trigger t ON t.id = i.trigger_id JOIN job j ON j.id = t.triggerer_id "
            "WHERE i.dag_id = %s AND i.run_id = %s"
        )
        return bool(self.stack.rows(query, run.way, run.run_id)[0][0])

    def thaw_triggerer(self) -> None:
        """The stalled one comes back, beside the other."""
        self.stack.components[self.frozen].thaw()

    def stop_frozen(self) -> None:
        """End the one that had stalled."""
        self.stack.components[self.frozen].stop()

    def stall_api(self, seconds: float) -> None:
        """SIGSTOP of the API server for so long."""
        api = self.stack.components[API]
        api.freeze()
        until = time.monotonic() + seconds
        with suppress(TimeoutError):
            self.stack.progress.wait(lambda: time.monotonic() > until, "the API server is away", seconds + 5)
        api.thaw()
        self.stack.wait(self.stack.answers, "the API server answers")

    def end_worker(self, run: Run, *, kindly: bool) -> None:
        """SIGKILL to a task's process and its supervisor; `kindly`: SIGTERM first, as an eviction does."""
        pid = self.task(run)[2]
        assert pid
        child = psutil.Process(pid)
        supervisor = child.parent()
        if kindly:
            child.send_signal(signal.SIGTERM)
            time.sleep(3)
        for each in (supervisor, child):
            with suppress(psutil.NoSuchProcess):
                if each:
                    each.kill()

    def settle(self, done: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> bool:
        """Whether a condition came true in time."""
        try:
            self.stack.wait(done, what, patience_s)
        except TimeoutError:
            return False
        return True


def after(seconds: float) -> Callable[[], bool]:
    """Say whether so many seconds from now have passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _state(execution: run_v2.Execution) -> str:
    if execution.cancelled_count:
        return "CANCELLED"
    if not execution.completion_time:
        return "GOING"
    return "FAILED" if execution.failed_count else "SUCCEEDED"


@contextmanager
def world(progress: Progress) -> Iterator[World]:
    """A fresh one, ended with all that it started."""
    with own_place(f"hazards-{os.getpid()}") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        told = place.state / "told.jsonl"
        settings = {**SETTINGS, "HAZARDS_TOLD": str(told)}
        stack = ending.enter_context(AirflowStack(place, cloud.exports, DAGS, settings, progress))
        # a killed scheduler's children hold its connection, and with it the locks of what it was about
        stack.rows("ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '20s'")
        stack.start_all()
        here = World(stack, cloud, told)
        ending.callback(here.end_by_hand)
        here.clean(
            here.begin(["batch_sync"])
        )  # the API server is slow with its first answers, a crowd would be lost
        yield here
