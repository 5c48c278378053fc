"""Runs one job from QUEUED to its end."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from gcp_emulator.batch.barriers import Barriers
from gcp_emulator.batch.exit_codes import REASONS, UNKNOWN, tries_again
from gcp_emulator.batch.machine_pool import Machine, MachinePool
from gcp_emulator.batch.names import task_name
from gcp_emulator.batch.parts import Parts
from gcp_emulator.batch.states import FINAL_JOB_STATES, JobState, TaskState
from gcp_emulator.batch.status import (
    OPERATIONAL_INFO,
    add_event,
    count_move,
    job_state,
    set_job_state,
    set_task_state,
    task_state,
)
from gcp_emulator.batch.task import TaskRun
from gcp_emulator.messages import BatchTask, Timestamp, now, seconds_between
from gcp_emulator.runtime.pretend import IMAGE as PRETEND

log = logging.getLogger(__name__)
BREATH = 50  # tasks made before other calls get a turn
SAVE_S = 0.05  # how long changed counts may be missing in lists
QUEUED_LIMIT_S = 2 * 24 * 3600.0  # https://cloud.google.com/batch/quotas#job_limits
STOPPED = "The emulator stopped while this job ran; its tasks are gone. Submit it again."


class JobRunner:
    """One job. `stop` ends it from outside; the state that it sets decides how the job ends."""

    def __init__(self, job: Any, parts: Parts) -> None:
        self.job = job
        self._parts = parts
        self._pool = MachinePool(job, parts.work)
        self._tasks: list[Any] = []
        self._runs: dict[int, TaskRun] = {}
        self._stopped = asyncio.Event()
        self._barriers = Barriers(job.task_groups[0].task_count)
        self._failure = ""
        self._running_since: Timestamp | None = None
        self._saving: asyncio.TimerHandle | None = None

    @property
    def machines(self) -> list[Machine]:
        """The machines that the job has now."""
        return self._pool.machines

    def admit(self) -> None:
        """The job is there: QUEUED, stored and announced."""
        self._move(JobState.QUEUED)

    async def run(self, slots: asyncio.Semaphore) -> None:
        """To the end; `slots` bounds the tasks that run at once on this machine."""
        await self._create_tasks()
        try:
            if await self._admitted():
                self._move(JobState.SCHEDULED)
                if await self._pause():
                    await self._run_tasks(slots)
        finally:
            await self._pool.close()
        await self._finish()

    def stop(self, state: JobState) -> None:
        """End the job: CANCELLATION_IN_PROGRESS, DELETION_IN_PROGRESS, or FAILED when the emulator stops."""
        if state is JobState.FAILED:
            self._failure = self._failure or STOPPED
        else:
            self._move(state)
        self._stopped.set()
        for run in self._runs.values():
            if run.current:
                run.current.halt(UNKNOWN)

    def refresh(self) -> None:
        """Bring the run duration up to date."""
        if self._running_since is not None:
            seconds = seconds_between(self._running_since, now())
            self.job.status.run_duration.FromNanoseconds(int(seconds * 1e9))

    async def _create_tasks(self) -> None:
        for index in range(self.job.task_groups[0].task_count):
            task = BatchTask(name=task_name(self.job.name, index))
            task.status.state = TaskState.PENDING
            self._tasks.append(task)
            self._parts.store.put(task)
            if index % BREATH == BREATH - 1:
                await asyncio.sleep(0)

    async def _pause(self) -> bool:
        """Let the delay pass; False when the job was stopped meanwhile."""
        await self._unless_stopped(asyncio.sleep(self._parts.delay_s), None)
        return not self._stopped.is_set()

    async def _admitted(self) -> bool:
        """Wait in the queue; False when the job does not get out of it."""
        deadline = asyncio.get_running_loop().time() + QUEUED_LIMIT_S
        told = ""
        going = await self._pause()
        while going and (shortage := self._parts.supply.shortage(self.job)):
            if shortage.text != told:
                told = shortage.text
                add_event(self.job.status, OPERATIONAL_INFO, told)
                self._save()
            left = deadline - asyncio.get_running_loop().time()
            if shortage.fails or left <= 0:
                self._failure = told
                return False
            await self._unless_stopped(self._parts.supply.changed(self.job), left)
            going = not self._stopped.is_set()
        return going

    async def _unless_stopped(self, waiting: Any, timeout: float | None) -> bool:
        """Whether what was waited for came before the job's stop and the time-out (s)."""
        both = [asyncio.ensure_future(waiting), asyncio.create_task(self._stopped.wait())]
        done, _ = await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        return both[0] in done

    async def _run_tasks(self, slots: asyncio.Semaphore) -> None:
        group = self.job.task_groups[0]
        waiting = iter(range(group.task_count))
        runnables = group.task_spec.runnables
        waits = any(runnable.HasField("barrier") for runnable in runnables)  # tasks that do must all run
        if waits or all(runnable.container.image_uri == PRETEND for runnable in runnables):
            slots = asyncio.Semaphore(group.task_count)
        async with asyncio.TaskGroup() as workers:
            for worker in range(min(group.parallelism, group.task_count)):
                workers.create_task(self._worker(worker, waiting, slots))

    async def _worker(self, worker: int, waiting: Iterator[int], slots: asyncio.Semaphore) -> None:
        for index in waiting:
            if not await self._unless_stopped(slots.acquire(), None):
                return
            try:
                if self._over:
                    return
                await self._run_task(index, worker)
                self._barriers.end(index)
            finally:
                slots.release()

    @property
    def _over(self) -> bool:
        """No further task begins: one has failed for good, or the job is stopped."""
        return bool(self._failure) or self._stopped.is_set()

    async def _run_task(self, index: int, worker: int) -> None:
        task, spec = self._tasks[index], self.job.task_groups[0].task_spec
        run = self._runs[index] = TaskRun(self.job, index, self._parts, self._barriers)
        while True:
            machine = self._pool.machine(worker)
            self._move_task(task, TaskState.ASSIGNED, machine)
            if job_state(self.job) is JobState.SCHEDULED:
                self._move(JobState.RUNNING)
            self._move_task(task, TaskState.RUNNING, machine)
            code = await run.run(machine, self._pool.node_list)
            if code == 0:
                self._move_task(task, TaskState.SUCCEEDED, machine)
                break
            why = "the job is being stopped" if self._stopped.is_set() else REASONS.get(code, "")
            text = self._move_task(task, TaskState.FAILED, machine, why, code)
            if self._over or not tries_again(spec, run.attempt, code):
                self._fail(index, text)
                break
            self._move_task(task, TaskState.PENDING)
            run.attempt += 1
        del self._runs[index]

    def _fail(self, index: int, event: str) -> None:
        self._failure = self._failure or (
            f"Job failed due to task failure. Specifically, task with index {index} failed due to the following "
            f'task event: "{event}"'
        )

    async def _finish(self) -> None:
        for task in self._tasks:
            if task_state(task) is TaskState.PENDING:
                self._move_task(task, TaskState.UNEXECUTED)
        state = job_state(self.job)
        if state in (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS):
            await asyncio.sleep(self._parts.delay_s)
            state = job_state(self.job)  # a cancelled job may have been deleted meanwhile
        if state is JobState.CANCELLATION_IN_PROGRESS:
            self._move(JobState.CANCELLED)
        elif state not in FINAL_JOB_STATES and state is not JobState.DELETION_IN_PROGRESS:
            self._move(JobState.FAILED if self._failure else JobState.SUCCEEDED, self._failure)
        if self._saving:
            self._saving.cancel()
        log.info("%s ended: %s", self.job.name, job_state(self.job).name)

    def fail(self, text: str) -> None:
        """The emulator itself failed to run the job."""
        if job_state(self.job) is JobState.CANCELLATION_IN_PROGRESS:
            self._move(JobState.CANCELLED, text)
        elif job_state(self.job) not in (*FINAL_JOB_STATES, JobState.DELETION_IN_PROGRESS):
            self._move(JobState.FAILED, text)

    def _move(self, state: JobState, reason: str = "") -> None:
        self.refresh()
        text = set_job_state(self.job, state, self._parts.project_number, reason)
        if state is JobState.RUNNING:
            self._running_since = now()
        elif state is not JobState.QUEUED:
            self._running_since = None
        self._save()
        events = len(self.job.status.status_events)
        self._parts.notifier.job_changed(self.job, text)
        if len(self.job.status.status_events) != events:
            self._save()

    def _move_task(
        self,
        task: Any,
        state: TaskState,
        machine: Machine | None = None,
        why: str = "",
        code: int | None = None,
    ) -> str:
        old = task_state(task)
        text = set_task_state(task, state, machine.place if machine else "", why, code)
        self._parts.store.put(task)
        count_move(self.job, old, state)
        self._parts.notifier.task_changed(self.job, task, text)
        if self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_S, self._save)
        return text

    def _save(self) -> None:
        if self._saving:
            self._saving.cancel()
            self._saving = None
        self._parts.store.put(self.job)
