"""Faults that meet a task while it waits for its Batch job: part of `make faults`.

`python -m benchmarks.faults_waiting RESULT [ONLY]` runs them in an emulator of its own, each through BatchJobOperator
and Airflow's TriggerRunner and then once more without the fault, and writes the rows to RESULT.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.attempt import Verdict, attempt, log_to
from benchmarks.cloud import Cloud

from gcp_emulator import process

PROJECT, REGION = "local-project", "europe-west1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
TOPIC = f"projects/{PROJECT}/topics/job-states"
QUICK = {"GCP_JOBS_LIST_SECONDS": "1", "GCP_JOBS_SWEEP_SECONDS": "600"}
PATIENCE_S = 60.0
GET_JOB = ["google.cloud.batch.v1.BatchService/GetJob"]
LIST_JOBS = ["google.cloud.batch.v1.BatchService/ListJobs"]
SUBSCRIBE = ["google.pubsub.v1.Subscriber/CreateSubscription"]
PULL = ["google.pubsub.v1.Subscriber/StreamingPull"]

Fields = Mapping[str, Any]
Act = Callable[[str, str], None]


def _api(kind: str) -> Any:
    from gcp_jobs.clients import Access, client

    return client(kind, Access())


def _cancel(name: str, uid: str) -> None:
    _api("BatchService").cancel_job(request={"name": name})


def _delete(name: str, uid: str) -> None:
    _api("BatchService").delete_job(name=name)


def _publish(data: bytes, **attributes: str) -> None:
    _api("Publisher").publish(topic=TOPIC, messages=[{"data": data, "attributes": attributes}])


def _strangers(name: str, uid: str) -> None:
    for number in range(3):
        _publish(b"x", JobUID=f"stranger-{number}", NewJobState="FAILED", Type="JOB_STATE_CHANGED")


def _garbage(name: str, uid: str) -> None:
    for data in (b"\xff\xfe{[", b'{"protoPayload": 7}', b'{"JobUID": {"a": [1]}}'):
        _publish(data)


def _contradiction(name: str, uid: str) -> None:
    """The end first, which is not true yet, and then what came before it."""
    for state in ("SUCCEEDED", "RUNNING", "SCHEDULED"):
        _publish(b"x", JobUID=uid, NewJobState=state, Type="JOB_STATE_CHANGED")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what is wrong beforehand, what happens once the job was read, and what must be read then.

    :param faults: the emulator's, as `/emulator/faults` takes them
    :param env: settings
    :param act: called with the job's name and uid when the wait has read it
    :param jobs: how many tasks wait side by side
    :param seconds: how long the job runs
    """

    name: str
    caught: str
    reads: str
    faults: Sequence[Fields] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    act: Act | None = None
    jobs: int = 1
    seconds: float = 2
    timeout: float | None = None
    passes: bool = False


def _refused(methods: Sequence[str], code: str = "PERMISSION_DENIED", **more: Any) -> dict[str, Any]:
    return {"kind": "call", "methods": methods, "code": code, **more}


def _burst(status: int, code: str, reads: str, caught: str = "wait: backs off") -> Fault:
    return Fault(
        f"a burst of {status} on GetJob", caught, reads,
        faults=(_refused(GET_JOB, code, times=3),), passes=True,
    )  # fmt: skip


WAITING = (
    Fault(
        "the status topic is missing", "hub: lists instead",
        r"topic of jobs' states does not exist .*topics/nowhere.*gcloud pubsub topics create",
        env={"GCP_JOBS_STATUS_TOPIC": f"projects/{PROJECT}/topics/nowhere"}, passes=True,
    ),
    Fault(
        "the status subscription is missing", "hub: lists instead",
        r"subscription to jobs' states does not exist .*subscriptions/nowhere.*gcloud pubsub subscriptions create",
        env={"GCP_JOBS_STATUS_SUBSCRIPTION": "nowhere"}, passes=True,
    ),
    Fault(
        "the status topic is forbidden", "hub: lists instead",
        r"not allowed to subscribe .*topics/job-states.*airflow@.*roles/pubsub.subscriber on the topic",
        faults=(_refused(SUBSCRIBE),), passes=True,
    ),
    Fault(
        "the status subscription is forbidden", "hub: lists instead",
        r"not allowed to pull .*subscriptions/.*airflow@.*roles/pubsub.subscriber on the subscription",
        faults=(_refused(PULL),), passes=True,
    ),
    Fault(
        "status topic and lists are forbidden", "hub: reads one by one",
        r"No list of europe-west1's jobs: .*airflow@.* roles/batch.jobsViewer on the project",
        faults=(_refused(SUBSCRIBE), _refused(LIST_JOBS)), jobs=3, passes=True,
    ),
    Fault(
        "the job is deleted while waited for", "wait: not found again and again",
        r"\[gone\].*last seen \w+", act=_delete, seconds=30,
    ),
    Fault(
        "the job is cancelled from outside", "wait", r"\[cancelled\].*cancelled, outside Airflow",
        act=_cancel, seconds=30,
    ),
    Fault(
        "a job that never leaves QUEUED", "wait: deadline, cancels",
        r"within its deadline.*cancelled.*never started.*ZONE_RESOURCE_POOL_EXHAUSTED",
        faults=({"kind": "exhaust"},), timeout=4,
    ),
    Fault(
        "all messages are lost", "hub: a sweep finds the end", r"woken_by_sweep=1\b",
        faults=({"kind": "messages", "drop": 1.0},), env={"GCP_JOBS_SWEEP_SECONDS": "2"}, passes=True,
    ),
    Fault(
        "all messages come twice", "hub: one read confirms", r"woken_by_event=1\b",
        faults=({"kind": "messages", "double": 1.0},), passes=True,
    ),
    Fault(
        "messages overtake each other", "hub: one read confirms", r"woken_by_event=1\b",
        faults=({"kind": "messages", "reorder": 1.0, "delay_s": 2.0},), passes=True,
    ),
    Fault(
        "a message that says too much, too early", "hub: one read confirms", r"woken_by_event=1\b",
        act=_contradiction, seconds=4, passes=True,
    ),
    Fault(
        "messages of unknown jobs", "hub: acknowledged, counted", r"unclaimed=[3-9].*woken_by_event=1\b",
        act=_strangers, passes=True,
    ),
    Fault(
        "undecodable messages", "hub: acknowledged, counted", r"garbage=3\b.*woken_by_event=1\b",
        act=_garbage, passes=True,
    ),
    _burst(429, "RESOURCE_EXHAUSTED", r"Still waiting for c-\w+: no quota to read the job"),
    _burst(500, "INTERNAL", r"Still waiting for c-\w+: could not read the job"),
    _burst(503, "UNAVAILABLE", r"Job c-\w+ succeeded", "Google's client: asks again"),
    _burst(504, "DEADLINE_EXCEEDED", r"Still waiting for c-\w+: could not read the job"),
    Fault(
        "a stream that dies again and again", "hub: reconnects", r"reconnects=[2-9]\d* woken_by_event=1\b",
        faults=({"kind": "cut", "after_s": 0.7},), seconds=4, passes=True,
    ),
)  # fmt: skip


def _operator(fault: Fault) -> Any:
    from gcp_jobs.operators.batch import BatchJobOperator

    job_id = f"c-{uuid.uuid4().hex[:12]}"
    container = {"imageUri": "gcp-emulator/pretend", "commands": [f"seconds={fault.seconds}"]}
    job = {"taskGroups": [{"taskSpec": {"runnables": [{"container": container}]}, "taskCount": 1}]}
    return BatchJobOperator(
        task_id=job_id, job_name=job_id, job=job, project_id=PROJECT, region=REGION, deferrable=True,
        polling_period_seconds=1, timeout_seconds=fault.timeout, verbose=False,
    )  # fmt: skip


async def _waited(fault: Fault, cloud: Cloud) -> list[Verdict]:
    """The verdicts of the fault's tasks; the hub's counts go to the log."""
    from gcp_jobs.clients import Access
    from gcp_jobs.hub import hub_for

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
    cloud.forget_calls()
    operators = [_operator(fault) for _ in range(fault.jobs)]
    running = asyncio.gather(*map(attempt, operators))
    if fault.act:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(cloud.count, "GetJob"):
                await asyncio.sleep(0.05)
        name = f"{PARENT}/jobs/{operators[0].job_name}"
        uid = (await asyncio.to_thread(_api("BatchService").get_job, name=name)).uid
        await asyncio.to_thread(fault.act, name, uid)
    verdicts: list[Verdict] = await asyncio.wait_for(running, PATIENCE_S)
    hub = hub_for(Access())
    if hub:
        hub.report()
        await hub.stop()
    return verdicts


def _run(fault: Fault, cloud: Cloud, log: StringIO) -> list[Verdict]:
    from gcp_jobs.settings import settings

    changed = QUICK | {"GCP_JOBS_STATUS_TOPIC": TOPIC} | dict(fault.env)
    os.environ.update(changed)
    settings.cache_clear()
    log_to(log)
    try:
        return asyncio.run(_waited(fault, cloud))
    finally:
        for name in changed:
            del os.environ[name]


def shown(fault: Fault, cloud: Cloud) -> dict[str, Any]:
    """The fault's row of the table: where it is caught, what the user reads, whether a rerun heals it."""
    log = StringIO()
    for fields in fault.faults:
        cloud.fault(**fields)
    verdicts = _run(fault, cloud, log)
    cloud.heal()
    text = [*log.getvalue().splitlines(), *(" ".join(v.said.split()) for v in verdicts)]
    error = next((line for line in reversed(text) if re.search(fault.reads, line)), "")
    healed = all(v.succeeded for v in _run(Fault("", "", "", seconds=0), cloud, StringIO()))
    ok = bool(error) and all(v.succeeded is fault.passes for v in verdicts) and healed
    if not ok:
        print("\n".join([fault.name, *text]), file=sys.stderr)
    error = re.sub(r"^event=(['\"])(.*)\1.*$", r"\2", error)
    return {"fault": fault.name, "caught": fault.caught, "error": error, "healed": healed, "ok": ok}


def main() -> None:
    """Writes the rows; each fault's line as it is done."""
    result, only = Path(sys.argv[1]), re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    faults = [fault for fault in WAITING if only.search(fault.name)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-waiting-") as folder:
        connection = {
            "conn_type": "google_cloud_platform",
            "extra": {"is_anonymous": True, "project": PROJECT},
        }
        os.environ.update(
            AIRFLOW_HOME=folder, AIRFLOW__CORE__LOAD_EXAMPLES="False", NO_GCE_CHECK="true",
            AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT=json.dumps(connection), GCP_JOBS_ENVIRONMENT="local",
            GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT=f"airflow@{PROJECT}.iam.gserviceaccount.com",
        )  # fmt: skip
        with process.start(project=PROJECT, log=Path(folder) / "emulator.log") as ready:
            os.environ.update(ready["env"])
            _api("Publisher").create_topic(name=TOPIC)
            for fault in faults:
                start = time.monotonic()
                rows.append(shown(fault, Cloud(ready["rest"])))
                said = "ok" if rows[-1]["ok"] else "NOT as it should be"
                print(f"{fault.name}: {said} ({time.monotonic() - start:.1f} s)", flush=True)
    result.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
