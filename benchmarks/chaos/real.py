"""A real Airflow in a night of chaos: PostgreSQL, API server, scheduler with its workers, dag-processor, triggerers."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
from benchmarks.airflow_stack import (
    API,
    PARSER,
    SCHEDULER,
    START_S,
    TRIGGERER,
    AirflowStack,
    Component,
    own_place,
)
from benchmarks.chaos.cloud import ChaosCloud
from benchmarks.chaos.judge import Deed
from benchmarks.chaos.load import stretched
from benchmarks.chaos.plan import Act
from benchmarks.embedded_cloud import embedded
from benchmarks.hazards_world import SETTINGS

from laptop.environment import account
from laptop.place import ROOT
from laptop.progress import Progress

WAYS = ("batch_deferred", "run_deferred", "batch_sync", "run_sync")
BY_TOKEN = "run_sync"
LIMITED = ("batch_limited", "run_limited")
OVER = ("success", "failed")
LONG_S, SHORT_S = 600.0, (6.0, 12.0)
HEARTBEAT_S = 20
ENDINGS = (Act.FAIL, Act.CLEAR, Act.SUCCEED)
ALIVE_S = 14.0  # until a component that was started again does its work
ROLES = {SCHEDULER: "worker", TRIGGERER: "triggerer"}
PATHS = ("benchmarks/end_to_end_site", "plugins")
MINE = {
    **SETTINGS,
    "AIRFLOW__CORE__PARALLELISM": "10",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "2",
    "GCP_JOBS_SWEEP_SECONDS": "10",
    "GCP_JOBS_LIST_SECONDS": "5",
    "GCP_JOBS_API_PATIENCE_SECONDS": "60",
    "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in PATHS),
}
TASKS = """
SELECT i.dag_id, i.run_id, coalesce(i.state, 'none'), i.try_number, extract(epoch FROM i.end_date),
       EXISTS (SELECT 1 FROM xcom x WHERE x.dag_id = i.dag_id AND x.run_id = i.run_id AND x.key = 'gcp_jobs_owner')
FROM task_instance i WHERE i.task_id = 'job'
"""


@dataclass
class Case:
    """One DAG run: what its task does, what its user does, and what Airflow says of it."""

    dag_id: str
    run_id: str
    seconds: float
    exit: int
    act: Act
    begun: bool = False
    state: str = "none"
    tries: int = 0
    ended: float | None = None
    acted: float | None = None
    acted_try: int = 0

    def deed(self) -> Deed:
        """For the judge: any task that was tried again may have had two tries that lived at once."""
        failing = self.exit or self.limited
        wants = self.act.value if self.act in (Act.FAIL, Act.SUCCEED) else "failed" if failing else "success"
        final = self.state if self.state in OVER else ""
        cleared = self.act is Act.CLEAR and self.acted is not None
        two, said = self.tries > 1 + cleared, f"try {self.tries}"
        name = f"{self.dag_id}/{self.run_id}/job/-1"
        return Deed(
            name,
            wants,
            final,
            self.ended,
            self.acted,
            self.acted_try,
            cleared,
            two,
            said,
            token=self.dag_id == BY_TOKEN,
            limited=self.limited,
        )

    @property
    def limited(self) -> bool:
        """Whether its job runs into a deadline."""
        return self.dag_id in LIMITED


class RolesStack(AirflowStack):
    """Calls of workers and of triggerers bear names of their own."""

    def start(self, kind: str, name: str = "") -> Component:
        """Start a component whose calls are told apart."""
        self.env["GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT"] = account(ROLES.get(kind, "other"))
        return super().start(kind, name)


@dataclass
class RealAirflow:
    """Its components are replaced as soon as they die."""

    stack: AirflowStack
    cloud: ChaosCloud
    dice: random.Random
    cases: dict[tuple[str, str], Case] = field(default_factory=dict)
    living: list[Component] = field(default_factory=list)
    restarted: dict[str, float] = field(default_factory=dict)
    died: int = 0
    over: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    stretch: float = field(default_factory=stretched)

    # its tasks

    def quiet(self, number: int) -> None:
        """Plan one of a night without faults: of every kind some."""
        act = (Act.NOTHING, Act.FAIL, Act.NOTHING)[number // 4 % 3]
        self._plan(number, WAYS[number % 4], act, bad=number // 4 % 3 == 2)

    def begin(
        self,
        number: int,
        *,
        backend: str = "",
        deferred: bool | None = None,
        act: bool | None = None,
        limited: bool = False,
        bad: bool | None = None,
        seconds: tuple[float, float] = SHORT_S,
    ) -> None:
        """Plan a DAG run; it is begun as soon as the API answers. What is not given is drawn.

        :param limited: whether its job runs into a deadline, and its trigger cancels it
        :param seconds: how long its job lasts, at least and at most
        """
        waits = self.dice.random() < 0.6 if deferred is None else deferred
        how = "limited" if limited else "deferred" if waits else "sync"
        way = f"{backend or self.dice.choice(('batch', 'run'))}_{how}"
        does = not limited and (self.dice.random() < 0.3 if act is None else act)
        fails = not limited and (self.dice.random() < 0.15 if bad is None else bad)
        done = self.dice.choice(ENDINGS) if does else Act.NOTHING
        self._plan(number, way, done, bad=fails and not does, lasts=seconds)

    def _plan(
        self, number: int, way: str, act: Act, *, bad: bool, lasts: tuple[float, float] = SHORT_S
    ) -> None:
        long = act is not Act.NOTHING or way in LIMITED
        seconds = LONG_S if long else self.dice.uniform(*lasts)
        case = Case(way, f"run-{number}", seconds, 127 if bad else 0, act)
        with self.lock:
            self.cases[case.dag_id, case.run_id] = case

    def going(self) -> list[Case]:
        """Those that are not over."""
        with self.lock:
            return [case for case in self.cases.values() if case.state not in OVER or not self._done(case)]

    @staticmethod
    def _done(case: Case) -> bool:
        return case.act is Act.NOTHING or case.acted is not None

    def look(self) -> None:
        """Read what Airflow says of them, and let their users act."""
        for dag_id, run_id, state, tries, ended, owned in self.stack.rows(TASKS):
            case = self.cases.get((dag_id, run_id))
            if case:
                case.state, case.tries, case.ended = state, int(tries), float(ended) if ended else None
                if owned and not self._done(case) and self.dice.random() < 0.4:
                    self._act(case)
        for case in [case for case in self.going() if not case.begun]:
            body = {
                "logical_date": None, "dag_run_id": case.run_id,
                "conf": {"seconds": case.seconds, "exit": case.exit},
            }  # fmt: skip
            case.begun = self._rest("POST", f"/api/v2/dags/{case.dag_id}/dagRuns", body)

    def _act(self, case: Case) -> None:
        here = f"/api/v2/dags/{case.dag_id}"
        at = time.time()
        if case.act is Act.CLEAR:
            body = {"dry_run": False, "dag_run_id": case.run_id, "task_ids": ["job"], "only_failed": False}
            done = self._rest("POST", f"{here}/clearTaskInstances", body)
        else:
            path = f"{here}/dagRuns/{case.run_id}/taskInstances/job"
            done = self._rest("PATCH", path, {"new_state": case.act.value})
        if done:
            case.acted, case.acted_try = at, case.tries

    def _rest(self, method: str, path: str, body: Any) -> bool:
        try:
            self.stack.rest(method, path, body)
        except RuntimeError as error:
            return ": 409" in str(error)
        except OSError:
            return False
        return True

    def reconcile(self) -> None:
        """Run DAG `orphans` once more, in the background."""
        body: dict[str, Any] = {"logical_date": None, "conf": {}}
        threading.Thread(
            target=self._rest, args=("POST", "/api/v2/dags/orphans/dagRuns", body), daemon=True
        ).start()

    # its components

    def start(self, kind: str) -> Component:
        """Start another one of a kind."""
        with self.lock:
            made = self.stack.start(kind, f"{kind}-{len(self.stack.components)}")
            self.living.append(made)
            self.restarted[kind] = time.monotonic()
        return made

    def ready(self, kind: str) -> bool:
        """Whether a kind has had the time to come back since it was struck last."""
        return time.monotonic() > self.restarted.get(kind, 0.0) + ALIVE_S * self.stretch

    def tend(self) -> None:
        """Replace what has ended by itself."""
        for each in [each for each in self.living if each.process.poll() is not None]:
            with self.lock:
                if each in self.living:
                    self.living.remove(each)
                    self.died += 1
                    self.start(each.kind)

    def kill(self, component: Component, *, alone: bool) -> None:
        """SIGKILL, and another takes its place."""
        with self.lock:
            if component not in self.living:
                return
            self.living.remove(component)
            component.kill(alone=alone)
            self.start(component.kind)

    def renew_triggerer(self) -> None:
        """Kill one: the next opens its streams anew."""
        if self.ready(TRIGGERER):
            victim = next((each for each in self.living if each.kind == TRIGGERER), None)
            if victim:
                self.kill(victim, alone=False)

    def stall_api(self) -> None:
        """SIGSTOP of the API server for a while."""
        api = next(each for each in self.living if each.kind == API)
        self.restarted[API] = time.monotonic()
        api.freeze()
        time.sleep(self.dice.uniform(2, 10))
        api.thaw()

    def owner_of(self, port: int) -> tuple[Component, int] | None:
        """Which process of which component has a connection from this port: one look, a call may be its last."""
        components = list(self.stack.components.values())  # others are started meanwhile
        sessions = {each.process.pid: each for each in components if each.kind in ROLES}
        pid = next((c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port), None)
        with suppress(ProcessLookupError):
            if pid and (component := sessions.get(os.getsid(pid))):
                return component, pid
        return None

    def strike(self, role: str, blow: str, port: int) -> bool:
        """Do it to whoever has the connection from this port, or to another component that the blow names.

        :param role: whose call it is. Its own process must be found; after an answer it may be over and gone
        """
        if blow == API:
            threading.Thread(target=self.stall_api, daemon=True).start()
            return True
        component, pid = self.owner_of(port) or (None, 0)
        if blow == "worker":
            if component:
                _end_worker(pid, component.process.pid)
            return component is not None
        if component is None or component.kind != blow:
            its_own = blow == role
            component = None if its_own else next((each for each in self.living if each.kind == blow), None)
        if component:
            self.kill(component, alone=blow == SCHEDULER and self.dice.random() < 0.5)
        return component is not None


def _end_worker(pid: int, most: int) -> None:
    """SIGKILL to a task's process and to its supervisor, never to the scheduler itself."""
    with suppress(psutil.Error, OSError):
        child = psutil.Process(pid)
        parent = child.parent()
        for each in (parent, child):
            if each and each.pid not in (most, 1, os.getpid()):
                each.send_signal(signal.SIGKILL)


@contextmanager
def real(seed: int, progress: Progress) -> Iterator[RealAirflow]:
    """A fresh one, ended with all that it started."""
    with own_place("chaos") as place, ExitStack() as ending:
        cloud = ending.enter_context(embedded(place, progress))
        told = ChaosCloud(cloud.exports["GCP_EMULATOR_URL"], cloud.grpc)
        told.sink()
        dags = ROOT / "benchmarks" / "chaos" / "dags"
        stack = ending.enter_context(
            RolesStack(place, cloud.exports, dags, MINE | _of(cloud.exports), progress)
        )
        stack.rows("ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '20s'")
        here = RealAirflow(stack, told, random.Random(seed))
        for kind in (API, SCHEDULER, PARSER, TRIGGERER, TRIGGERER):
            here.start(kind)
        stack.wait(stack.answers, "starting Airflow", START_S)
        known = "SELECT count(*) FROM serialized_dag"
        stack.wait(lambda: stack.rows(known)[0][0] > len(WAYS) + len(LIMITED), "parsing the DAGs", START_S)
        yield here


def _of(exports: Any) -> dict[str, str]:
    """The topic, and a patience with tasks' heartbeats that suits the machine: else all are reset all the time."""
    return {
        "GCP_JOBS_STATUS_TOPIC": exports["GCP_JOBS_STATUS_TOPIC"],
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(int(HEARTBEAT_S * stretched())),
    }


def deeds(here: RealAirflow) -> Sequence[Deed]:
    """What was done to each task."""
    return [case.deed() for case in here.cases.values()]
