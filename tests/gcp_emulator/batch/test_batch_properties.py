"""Whatever happens to a job, its states follow each other as Google's do, and its counts add up."""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_emulator.batch.engine import Engine
from gcp_emulator.batch.notifications import Notifier
from gcp_emulator.batch.parts import Parts, Plenty
from gcp_emulator.batch.states import (
    FINAL_JOB_STATES,
    FINAL_TASK_STATES,
    NEXT_JOB_STATES,
    NEXT_TASK_STATES,
    JobState,
    TaskState,
)
from gcp_emulator.errors import ApiError
from gcp_emulator.logs.batch import BatchLogs
from gcp_emulator.logs.store import LogStore
from gcp_emulator.messages import BatchJob, BatchTask
from gcp_emulator.run.spec import Surroundings
from gcp_emulator.runtime.model import End, TaskResult
from gcp_emulator.services.operations import Operations
from gcp_emulator.store import Store

PARENT = "projects/proj-1/locations/europe-west1"
TURN_S = 0.002


class PretendRuntime:
    """Ends each runnable after some turns with the exit code that its environment holds for the attempt."""

    async def run(self, spec, log, cancel=None):
        start, container = datetime.now(UTC), spec.containers[0]
        codes = [int(code) for code in container.env["CODES"].split()]
        code = codes[int(container.env["BATCH_TASK_RETRY_ATTEMPT"]) % len(codes)]
        waiting = asyncio.create_task(cancel.wait())
        await asyncio.wait({waiting}, timeout=TURN_S)
        waiting.cancel()
        if cancel.is_set():
            return TaskResult(143, End.CANCELLED, "", start, datetime.now(UTC))
        return TaskResult(code, End.EXITED, "", start, datetime.now(UTC))


class Listener:
    """Takes the place of Pub/Sub's publish and keeps the order."""

    def __init__(self):
        self.heard = []

    def publish(self, topic, messages, *, caller):
        self.heard += [dict(message.attributes) for message in messages]
        return ["1"]


@dataclass(frozen=True)
class Step:
    """What is done to the job after some turns."""

    turns: int
    act: str


JOBS = st.fixed_dictionaries(
    {
        "codes": st.lists(
            st.lists(st.sampled_from([0, 0, 1, 7]), min_size=1, max_size=3), min_size=1, max_size=4
        ),
        "retries": st.integers(0, 2),
        "parallelism": st.integers(1, 3),
        "policy": st.sampled_from([None, 1, 2]),
    }
)
STEPS = st.lists(
    st.builds(Step, st.integers(0, 4), st.sampled_from(["cancel", "delete", "preempt", "reboot"])), max_size=3
)


def build(codes, retries, parallelism, policy):
    policies = [{"action": policy, "action_condition": {"exit_codes": [7, 50001]}}] if policy else []
    spec = {
        "runnables": [{"script": {"text": "true"}}],
        "max_retry_count": retries,
        "lifecycle_policies": policies,
    }
    group = {
        "task_spec": spec,
        "parallelism": parallelism,
        "task_environments": [{"variables": {"CODES": " ".join(map(str, own))}} for own in codes],
    }
    notifications = [
        {"pubsub_topic": "projects/proj-1/topics/jobs", "message": {"type_": kind}} for kind in (1, 2)
    ]
    return BatchJob(task_groups=[group], notifications=notifications)


async def live(job, steps, folder):
    """The job's name and store, and all that was published, after it has ended."""
    store, listener = Store(), Listener()
    parts = Parts(
        store=store,
        runtime=PretendRuntime(),
        around=Surroundings(None, folder, "default@p.iam.gserviceaccount.com"),
        logs=BatchLogs(LogStore()),
        notifier=Notifier(listener, "agent@p.iam.gserviceaccount.com"),
        work=folder,
        project_number="1",
        supply=Plenty(),
        delay_s=TURN_S,
        at_once=3,
    )
    engine = Engine(parts, Operations(store))
    name = engine.create(PARENT, "job", job).name
    for step in steps:
        await asyncio.sleep(step.turns * TURN_S)
        act(engine, name, step.act)
    while list(engine.runners()):
        await asyncio.sleep(TURN_S)
    return name, store, listener.heard


def act(engine, name, what):
    try:
        if what in ("cancel", "delete"):
            getattr(engine, what)(name)
        else:
            for runner in engine.runners():
                for machine in runner.machines[:1]:
                    machine.lose(50001 if what == "preempt" else 50003)
    except ApiError:
        pass  # too late, or gone: Google refuses that as well


def follow(states, first, following):
    """Every state may follow the one before."""
    for old, new in zip([first, *states], states, strict=False):
        assert new in following[old], (old, new)


@settings(max_examples=60, deadline=None)
@given(wanted=JOBS, steps=STEPS)
def test_only_legal_transitions_happen(wanted, steps):
    with tempfile.TemporaryDirectory() as folder:
        name, store, heard = asyncio.run(live(build(**wanted), steps, Path(folder)))
    jobs = [JobState[said["NewJobState"]] for said in heard if "NewJobState" in said]
    follow(jobs, JobState.STATE_UNSPECIFIED, NEXT_JOB_STATES)
    count = len(wanted["codes"])
    last = {}
    for index in range(count):
        states = [
            TaskState[said["NewTaskState"]]
            for said in heard
            if "NewTaskState" in said and said["TaskName"].endswith(f"/{index}")
        ]
        follow(states, TaskState.PENDING, NEXT_TASK_STATES)
        assert states.count(TaskState.RUNNING) <= wanted["retries"] + 1
        last[index] = states[-1] if states else TaskState.PENDING
    job = store.get(BatchJob, name)
    assert (job is None) == (jobs[-1] is JobState.DELETION_IN_PROGRESS)
    if job is not None:
        check_end(job, jobs, store, list(last.values()))
    store.close()


def check_end(job, jobs, store, tasks):
    assert JobState(job.status.state) is jobs[-1]
    assert jobs[-1] in FINAL_JOB_STATES
    assert set(tasks) <= FINAL_TASK_STATES
    assert sum(job.status.task_groups["group0"].counts.values()) == len(tasks)
    assert (jobs[-1] is JobState.SUCCEEDED) <= (set(tasks) == {TaskState.SUCCEEDED})
    assert (jobs[-1] is JobState.FAILED) <= (TaskState.FAILED in tasks)
    assert job.update_time.ToNanoseconds() >= job.create_time.ToNanoseconds()
    assert job.status.run_duration.ToNanoseconds() >= 0
    stored = [task for _, task in store.page(BatchTask, job.task_groups[0].name, oldest_first=True)]
    assert [TaskState(task.status.state) for task in stored] == tasks
