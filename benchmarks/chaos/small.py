"""A small Airflow of real processes: a scheduler in threads of this one, workers and triggerers that are forked.

It does to our code what Airflow 3.3 was seen to do: a new try deletes the task's XComs and keeps its state store; after
a clear the next try begins before the old trigger's on_kill; a trigger's row moves away from a triggerer that stalls,
which is told so when it comes back; a try that another scheduler reset lives on for seconds and is refused; a task that
a user ended is told by SIGTERM, SIGKILL some seconds later.
"""

import itertools
import queue
import random
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from benchmarks.chaos.plan import Act, Blow, Plan
from benchmarks.chaos.processes import Process, Task, Triggerer, Wait, Worker, Zygote, inode, sockets
from benchmarks.chaos.worker import Order

MOST_TRIES = 60
TRIGGERERS = 2
TOOK_OVER_S = (0.2, 1.0)
TOLD_S = (0.05, 0.4)
KILL_S = 5.0
GHOST_S = (6.0, 9.0)
LOOK_S = 0.03
OVER = frozenset({"success", "failed"})


class SmallAirflow:
    """Its scheduler. `live` has a task; `stop` ends all processes.

    :param without: the safeguard that its processes do without, empty for none
    :param stretch: by how much longer than on a quiet machine a given-up try lives on
    """

    def __init__(self, zygote: Zygote, seed: int, without: str = "", stretch: float = 1.0) -> None:
        self.tasks: dict[str, Task] = {}
        self.workers: dict[int, Worker] = {}
        self.triggerers: list[Triggerer] = []
        self.answering = threading.Event()
        self.answering.set()
        self._dice = random.Random(seed)
        self._waits: dict[int, Wait] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._stopping = False
        self._zygote, self._without, self._stretch = zygote, without, stretch
        for _ in range(TRIGGERERS):
            self._another()

    def quit(self) -> None:
        """Tasks that have not ended will not."""
        self._stopping = True

    def stop(self) -> None:
        """End everything."""
        self._stopping = True
        for each in [*list(self.workers.values()), *self.triggerers]:
            each.signal(signal.SIGKILL)

    # processes

    def _fork(self, kind: str, order: Any) -> tuple[int, Any]:
        return self._zygote.fork(kind, order, self._without)

    def owner_of(self, port: int) -> Process | None:
        """Which living process has a connection from this port."""
        wanted = inode(port)
        with self._lock:
            everybody = [*self.workers.values(), *self.triggerers]
        return next((each for each in everybody if wanted and wanted in sockets(each.pid)), None)

    def _another(self) -> None:
        made = Triggerer(*self._fork("triggerer", None))
        with self._lock:
            self.triggerers.append(made)
        threading.Thread(target=self._hear, args=(made,), daemon=True).start()

    def _hear(self, triggerer: Triggerer) -> None:
        with suppress(EOFError, OSError):
            while True:
                what, number, *details = triggerer.line.recv()
                if what == "ask":
                    answered = self._answer(None, details[0], details[1])
                    triggerer.tell("answer", number, *answered)
                elif number in self._waits:
                    self._waits[number].events.put(details[0])
        triggerer.dead = True
        with self._lock:
            self.triggerers.remove(triggerer)
        if not self._stopping:
            self._another()
            self._move(triggerer)

    def _move(self, gone: Triggerer) -> list[Wait]:
        """The rows of a triggerer go to another one, as soon as its absence is noticed."""
        time.sleep(self._dice.uniform(*TOOK_OVER_S))
        with self._lock:
            moved = [wait for wait in self._waits.values() if wait.home is gone]
            for wait in moved:
                wait.home = self._free()
                wait.home.tell("run", wait.number, *wait.spec)
        return moved

    def _free(self) -> Triggerer:
        with self._lock:
            there = [each for each in self.triggerers if not (each.dead or each.stalled)]
            return self._dice.choice(there or self.triggerers)

    def waiting_in(self, triggerer: Triggerer) -> list[Task]:
        """The tasks whose triggers it runs."""
        return [wait.task for wait in list(self._waits.values()) if wait.home is triggerer]

    def stall(self, triggerer: Triggerer) -> None:
        """SIGSTOP; others take over; when it is back it is told which rows it has lost (hazard B)."""
        triggerer.stalled = True
        triggerer.signal(signal.SIGSTOP)
        if sum(not (each.stalled or each.dead) for each in self.triggerers) < TRIGGERERS:
            self._another()
        moved = self._move(triggerer)
        triggerer.signal(signal.SIGCONT)
        for wait in moved:
            triggerer.tell("stop", wait.number)
        triggerer.stalled = False

    # what it answers

    def _answer(self, worker: Worker | None, what: str, details: tuple[Any, ...]) -> tuple[bool, Any]:
        self.answering.wait()
        with self._lock:
            if worker and worker.task and what in ("get", "set", "push"):
                task = worker.task
                if task.try_number != worker.try_number or task.state not in ("running", "restarting"):
                    return False, "410 the try is over"
                return True, self._state(task, what, *details)
            found = self.tasks.get(details[0])
            if found is None:
                return True, (False, None, None) if what == "sight" else None
            answers = {
                "state": found.state,
                "xcom": found.xcom.get("gcp_jobs_owner"),
                "clears": found.clear_number,
                "sight": (True, found.state, found.xcom.get("gcp_jobs_owner")),
            }
            return True, answers[what]

    @staticmethod
    def _state(task: Task, what: str, key: str, value: Any = None) -> Any:
        if what == "get":
            return task.store.get(key)
        (task.store if what == "set" else task.xcom)[key] = value
        return None

    # a task's life

    def live(self, plan: Plan) -> Task:
        """From the first try to the end; blocks."""
        task = Task(plan)
        with self._lock:
            self.tasks[plan.run_id] = task
        while task.state not in OVER and not self._stopping:
            if task.try_number >= MOST_TRIES:
                self._over(task, "failed", f"{MOST_TRIES} tries were not enough: {task.said}")
                break
            self._try(task)
            if task.state == "running" and task.store and self._dice.random() < 0.5:
                task.due = time.time()  # a user acts on it while nobody looks after it
                self._acts(task, dead=True)
        return task

    def _try(self, task: Task) -> None:
        with self._lock:
            task.try_number += 1
            task.xcom.clear()
            task.state = "running"
            task.note(f"try {task.try_number}")
        event: Any = None
        while True:
            ended = self._work(task, event)
            if ended[0] != "deferred":
                break
            event = self._wait(task, ended[1], ended[2])
            if event is None:
                return
        with self._lock:
            if ended[0] == "done" and task.state == "running":
                self._over(task, "success", ended[1])
            elif ended[0] == "failed" and task.state == "running":
                task.said = ended[2]
                if ended[1]:
                    self._over(task, "failed", ended[2])
                else:
                    task.state = "up_for_retry"

    def _over(self, task: Task, state: str, said: str) -> None:
        with self._lock:
            task.state, task.ended, task.said = state, time.time(), said

    def _work(self, task: Task, event: Any) -> tuple[Any, ...]:
        """A worker's process, until it tells its end, dies, or is left behind."""
        plan = task.plan
        order = Order(
            plan.run_id, plan.backend, plan.name, plan.args(task.clear_number), plan.deferrable, plan.verbose,
            task.try_number, MOST_TRIES, task.clear_number, plan.token, event,
        )  # fmt: skip
        pid, line = self._fork("worker", order)
        worker = Worker(pid, line, task, task.try_number)
        with self._lock:
            self.workers[pid] = worker
        told = queue.Queue[tuple[Any, ...]]()
        threading.Thread(target=self._attend, args=(worker, told), daemon=True).start()
        while True:
            with suppress(queue.Empty):
                ended = told.get(timeout=LOOK_S)
                if ended[0] == "deferred":
                    self._deferred(task)
                return ended
            if worker.blow is Blow.GHOST:
                task.two = True
                threading.Thread(target=self._haunt, args=(worker,), daemon=True).start()
                return ("left",)
            if self._acts(task):
                self._terminate(worker, told)
                return ("left",)
            if worker.blow is Blow.EVICT:
                self._terminate(worker, told)
                return ("left",)

    def _deferred(self, task: Task) -> None:
        with self._lock:
            if task.state == "running":
                task.state = "deferred"

    def _attend(self, worker: Worker, told: "queue.Queue[tuple[Any, ...]]") -> None:
        """Answer a worker's questions until it ends."""
        ended: tuple[Any, ...] = ("died",)
        with suppress(EOFError, OSError):
            while True:
                what, *details = worker.line.recv()
                if what != "ask":
                    ended = (what, *details)
                    break
                worker.line.send(self._answer(worker, *details))
        told.put(ended)
        with self._lock:
            self.workers.pop(worker.pid, None)

    def _terminate(self, worker: Worker, told: "queue.Queue[tuple[Any, ...]]") -> None:
        """What a supervisor does to a task that was ended: SIGTERM, and SIGKILL some seconds later."""
        time.sleep(self._dice.uniform(*TOLD_S))
        worker.signal(signal.SIGTERM)
        with suppress(queue.Empty):
            told.get(timeout=KILL_S)
        worker.signal(signal.SIGKILL)
        with self._lock:
            if worker.task and worker.task.state == "restarting":
                worker.task.state = None

    def _haunt(self, worker: Worker) -> None:
        """A try that was reset lives on until its heartbeat is refused (hazard C)."""
        time.sleep(self._dice.uniform(*GHOST_S) * self._stretch)
        worker.signal(signal.SIGTERM)
        time.sleep(KILL_S)
        worker.signal(signal.SIGKILL)

    def _wait(self, task: Task, path: str, kwargs: dict[str, Any]) -> Any:
        """The trigger's event, None when a user ended the wait."""
        with self._lock:
            wait = Wait(next(self._numbers), task, (path, kwargs), self._free())
            self._waits[wait.number] = wait
            wait.home.tell("run", wait.number, path, kwargs)
        try:
            while not self._stopping:
                with suppress(queue.Empty):
                    event = wait.events.get(timeout=LOOK_S)
                    with self._lock:
                        if task.state == "deferred":
                            task.state = "running"
                    return event
                if wait.home.dead:
                    task.due = time.time()
                if self._acts(task):
                    pause = self._dice.uniform(*TOLD_S) + (0.7 if task.plan.act is Act.CLEAR else 0)
                    threading.Timer(pause, wait.home.tell, ("stop", wait.number)).start()
                    return None
            return None
        finally:
            self._waits.pop(wait.number, None)

    def _acts(self, task: Task, *, dead: bool = False) -> bool:
        """Whether the user ends the try now: some time after its job was there, once; `dead`: no worker is left."""
        plan = task.plan
        if plan.act is Act.NOTHING or task.acted or not self.answering.is_set():
            return False
        if "gcp_jobs_owner" not in task.xcom and not dead:
            return False
        task.due = task.due or time.time() + plan.after_s
        if time.time() < task.due:
            return False
        with self._lock:
            task.acted, task.acted_try = time.time(), task.try_number
            task.note(f"user: {plan.act}")
            if plan.act is Act.CLEAR:
                task.clear_number += 1
                task.state = "restarting" if task.state == "running" and not dead else None
            else:
                self._over(task, plan.act.value, "a user's word")
        return True

    def reconcile(self, grace_s: float) -> None:
        """Run what DAG `reconcile` runs, to its end."""
        pid, line = self._fork("reconcile", grace_s)
        worker = Worker(pid, line)
        told = queue.Queue[tuple[Any, ...]]()
        threading.Thread(target=self._attend, args=(worker, told), daemon=True).start()
        with suppress(queue.Empty):
            told.get(timeout=120)
