"""`/emulator/faults`: each fault strikes real clients like the real thing, is listed, and replays by its seed."""

import re
import threading
import time

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient

State = batch_v1.JobStatus.State
GET = "google.cloud.batch.v1.BatchService/GetJob"


class Faults:
    """The resource as a test uses it."""

    def __init__(self, url):
        self._http = httpx.Client(base_url=url, trust_env=False)

    def add(self, kind, **fields):
        answer = self._http.post("/emulator/faults", json={"kind": kind, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def refused(self, content):
        answer = self._http.post("/emulator/faults", **content)
        assert answer.status_code == 400
        return answer.json()["error"]["message"]

    def list(self):
        return self._http.get("/emulator/faults").json()["faults"]

    def remove(self, id_=""):
        return self._http.delete(f"/emulator/faults/{id_}".rstrip("/"))

    def close(self):
        self.remove()
        self._http.close()


@pytest.fixture
def faults(cloud):
    found = Faults(cloud.ready["rest"])
    yield found
    found.close()


def outcomes(batch, name, count):
    """Which of so many reads were refused."""
    found = []
    for _ in range(count):
        try:
            batch.client.get_job(name=name, retry=None)
            found.append(None)
        except exceptions.GoogleAPICallError as error:
            found.append(error.grpc_status_code.name)
    return found


def test_the_nth_call_of_a_method_fails(batch, faults):
    name = batch.create(batch.job("true")).name
    faults.add("call", methods=[GET], code="UNAVAILABLE", nth=[2, 4])
    assert outcomes(batch, name, 5) == [None, "UNAVAILABLE", None, "UNAVAILABLE", None]
    (shown,) = faults.list()
    assert (shown["seen"], shown["hits"]) == (5, 2)
    assert batch.client.list_jobs(parent=batch.cloud.parent)


def test_a_share_of_calls_replays_by_its_seed(batch, faults):
    name = batch.create(batch.job("true")).name
    rounds = []
    for _ in range(2):
        fault = faults.add("call", methods=["*/Get*"], code="INTERNAL", share=0.5, seed=7)
        rounds.append(outcomes(batch, name, 20))
        assert faults.remove(fault["id"]).status_code == 200
    assert rounds[0] == rounds[1]
    assert 0 < rounds[0].count("INTERNAL") < 20


def test_a_fault_can_be_for_one_caller_and_a_few_times(batch, faults):
    name = batch.create(batch.job("true")).name
    faults.add("call", methods=[GET], code="PERMISSION_DENIED", caller="other@*")
    faults.add("call", methods=[GET], code="INTERNAL", times=1, message="Out of order.")
    assert outcomes(batch, name, 2) == ["INTERNAL", None]
    other = batch.cloud.client(batch_v1.BatchServiceClient, identity="other@p.iam.gserviceaccount.com")
    with pytest.raises(exceptions.PermissionDenied):
        other.get_job(name=name)


def test_calls_can_be_slow(batch, faults):
    name = batch.create(batch.job("true")).name
    faults.add("call", methods=[GET], delay_s=0.3)
    start = time.monotonic()
    batch.client.get_job(name=name)
    assert time.monotonic() - start >= 0.3


def test_faults_strike_rest_as_well(batch, faults):
    faults.add("call", methods=["*/ListJobs"], code="RESOURCE_EXHAUSTED")
    with batch.cloud.http() as http:
        answer = http.get(f"/v1/{batch.cloud.parent}/jobs")
    assert (answer.status_code, answer.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")


def test_a_quota_a_minute_refuses_what_is_too_much(batch, faults):
    name = batch.create(batch.job("true")).name
    faults.add(
        "quota", methods=["google.cloud.batch.v1.*/Get*", "google.cloud.batch.v1.*/List*"], per_minute=3
    )
    assert outcomes(batch, name, 5) == [None] * 3 + ["RESOURCE_EXHAUSTED"] * 2
    with pytest.raises(exceptions.ResourceExhausted, match=r"service 'batch.googleapis.com': 3 a minute"):
        list(batch.client.list_jobs(parent=batch.cloud.parent))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"drop": 1.0}, []),
        ({"double": 1.0}, sorted(["QUEUED", "RUNNING", "SCHEDULED", "SUCCEEDED"] * 2)),
        ({"delay": 1.0, "delay_s": 0.5}, ["QUEUED", "RUNNING", "SCHEDULED", "SUCCEEDED"]),
        ({"drop": 1.0, "attributes": {"NewJobState": "S*"}}, ["QUEUED", "RUNNING"]),
    ],
    ids=["lost", "doubled", "late", "some lost"],
)  # fmt: skip
def test_notifications_are_lost_doubled_and_late(batch, faults, fault, expected):
    batch.listen()
    everything = f"projects/{batch.cloud.project}/subscriptions/*"
    faults.add("messages", subscription=everything, **{"attributes": {"Type": "JOB_*"}, **fault})
    job = batch.run("true")
    others = 3  # of the task
    heard = batch.heard(len(expected) + others)
    assert sorted(a["NewJobState"] for a in heard if "NewJobState" in a) == expected
    assert job.status.state == State.SUCCEEDED


def test_messages_overtake_each_other(batch, faults):
    """Consumers may rely on no order; here they can see that they do not."""
    subscriber = batch.cloud.client(SubscriberClient)
    batch.listen()
    faults.add("messages", subscription=f"projects/{batch.cloud.project}/*", reorder=1.0, delay_s=0.2, seed=3)
    publisher = batch.cloud.client(PublisherClient)
    publisher.publish(topic=batch.topic, messages=[{"data": str(n).encode()} for n in range(20)])
    came = []
    while len(came) < 20:
        answer = subscriber.pull(
            subscription=f"projects/{batch.cloud.project}/subscriptions/jobs", max_messages=1
        )
        came += [int(m.message.data) for m in answer.received_messages]
    assert came != sorted(came)
    assert sorted(came) == list(range(20))


def test_a_spot_machine_is_taken_away_once(batch, faults):
    job = batch.job("test $BATCH_TASK_RETRY_ATTEMPT = 1 || sleep 60", max_retry_count=1)
    job.allocation_policy = {"instances": [{"policy": {"provisioning_model": "SPOT"}}]}
    made = batch.create(job)
    batch.wait(made.name, State.RUNNING)
    fault = faults.add("preempt", job=made.uid)
    made = batch.wait(made.name)
    assert made.status.state == State.SUCCEEDED
    assert batch.exit_codes(made) == [50001]
    (task,) = batch.tasks(made)
    texts = [event.description for event in task.status.status_events]
    assert any(text.endswith("due to Spot VM preemption with exit code 50001.") for text in texts)
    places = {text.partition(" on ")[2].split()[0].rstrip(".") for text in texts if " on " in text}
    assert len(places) == 2, "the retry runs on another machine"
    assert faults.list()[0]["hits"] == 1
    assert fault["times"] == 1


@pytest.mark.parametrize(("code", "why"), [(50002, "no longer receives VM updates"), (50003, "is rebooted")])
def test_machines_are_lost_in_other_ways(batch, faults, code, why):
    """Also those of tasks that have not begun when the fault comes."""
    faults.add("preempt", job=f"lost-{code}", code=code, after_s=0.1)
    job = batch.wait(batch.create(batch.job("sleep 60"), f"lost-{code}").name)
    assert batch.exit_codes(job) == [code]
    assert why in job.status.status_events[-1].description


def test_a_region_without_machines_keeps_jobs_queued_until_it_has_some(batch, faults):
    region = {"region": "europe-west1", "provisioning_model": "SPOT", "machine_type": "e2-standard-4"}
    fault = faults.add("exhaust", **region)
    policy = {"machine_type": "e2-standard-4", "provisioning_model": "SPOT"}
    spot, standard = batch.job("true"), batch.job("true")
    spot.allocation_policy = {"instances": [{"policy": policy}]}
    waiting = batch.create(spot, "spot")
    assert batch.wait(batch.create(standard, "standard").name).status.state == State.SUCCEEDED
    while not any("VM in Managed" in event.description for event in waiting.status.status_events):
        waiting = batch.client.get_job(name=waiting.name)
    assert waiting.status.state == State.QUEUED
    text = waiting.status.status_events[-1].description
    assert "CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED" in text
    assert "does not have enough resources available to fulfill the request" in text
    faults.remove(fault["id"])
    assert batch.wait(waiting.name).status.state == State.SUCCEEDED


def test_a_job_without_machines_can_be_cancelled_or_fail(batch, faults):
    faults.add("exhaust", machine_type="e2-medium")
    queued = batch.create(batch.job("true"))
    batch.client.cancel_job(name=queued.name).result(30)
    assert batch.client.get_job(name=queued.name).status.state == State.CANCELLED
    faults.remove()
    faults.add("exhaust", reason="QUOTA_EXCEEDED", fails=True)
    job = batch.run("true")
    assert job.status.state == State.FAILED
    assert "from QUEUED to FAILED" in job.status.status_events[-1].description
    assert "CODE_GCE_QUOTA_EXCEEDED" in job.status.status_events[-1].description


def test_of_two_shortages_the_newer_one_decides_and_ends_the_wait_of_those_it_concerns(batch, faults):
    faults.add("exhaust", machine_type="few-*")
    jobs = {}
    for kind in ("few-1", "few-2"):
        job = batch.job("true")
        job.allocation_policy = {"instances": [{"policy": {"machine_type": kind}}]}
        jobs[kind] = batch.create(job, kind).name
    faults.add("exhaust", machine_type="few-2", fails=True)
    assert batch.wait(jobs["few-2"]).status.state == State.FAILED
    assert batch.client.get_job(name=jobs["few-1"]).status.state == State.QUEUED
    faults.remove()
    assert batch.wait(jobs["few-1"]).status.state == State.SUCCEEDED


def pulling(batch):
    """A streaming pull in a thread of its own, and the code it ends with."""
    batch.listen()
    subscriber = batch.cloud.client(SubscriberClient)
    subscription = f"projects/{batch.cloud.project}/subscriptions/jobs"
    closed, ended = threading.Event(), []

    def requests():
        yield {"subscription": subscription, "stream_ack_deadline_seconds": 10}
        closed.wait(30)

    def pull():
        try:
            for _ in subscriber.streaming_pull(requests=requests()):
                pass
        except (exceptions.GoogleAPICallError, grpc.RpcError) as error:
            ended.append(error.code.name if isinstance(error, grpc.RpcError) else error.grpc_status_code.name)
        closed.set()

    thread = threading.Thread(target=pull)
    thread.start()
    return thread, ended


def test_streams_are_cut_when_they_are_old_enough(batch, faults):
    faults.add("cut", after_s=0.2)
    thread, ended = pulling(batch)
    thread.join(30)
    assert ended == ["UNAVAILABLE"]


def test_open_streams_are_cut_at_once(batch, faults):
    thread, ended = pulling(batch)
    while not faults.add("cut")["hits"]:
        time.sleep(0.01)
    thread.join(30)
    assert ended == ["UNAVAILABLE"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"kind": "flood"},
            "'call', 'hold', 'lag', 'quota', 'cut', 'suppress', 'messages', 'preempt', 'exhaust'",
        ),
        ({}, "kind"),
        ([], "dict"),
        (
            {"kind": "call", "methods": ["Batch/Fetch"], "code": "INTERNAL"},
            "methods: 'Batch/Fetch' is no method",
        ),
        ({"kind": "call", "methods": [GET], "code": "BROKEN"}, "code: 'BROKEN' is none of CANCELLED"),
        ({"kind": "call", "methods": [GET]}, "give a code"),
        (
            {"kind": "call", "methods": [GET], "code": "INTERNAL", "share": 2},
            "share: .* less than or equal to 1",
        ),
        ({"kind": "call", "methods": [GET], "code": "INTERNAL", "shard": 2}, "shard: Extra inputs"),
        ({"kind": "messages"}, "must add up"),
        ({"kind": "messages", "drop": 0.6, "delay": 0.6}, "must add up"),
        ({"kind": "preempt", "code": 1}, "code: 1 is none of 50001"),
        ({"kind": "quota", "methods": [GET]}, "per_minute: Field required"),
        ({"kind": "exhaust", "provisioning_model": "CHEAP"}, "provisioning_model: Input should be"),
    ],
)
def test_a_wrong_fault_is_refused_and_says_what_is_allowed(faults, fault, said):
    assert re.search(said, faults.refused({"json": fault}))
    assert faults.list() == []


def test_faults_are_listed_and_removed(faults):
    assert "not JSON" in faults.refused({"content": b"drop everything"})
    ids = [faults.add("cut", after_s=60)["id"], faults.add("exhaust", seed=5)["id"]]
    assert [fault["id"] for fault in faults.list()] == ids
    assert faults.list()[1]["seed"] == 5
    assert isinstance(faults.list()[0]["seed"], int)
    gone = faults.remove("fault-0")
    assert gone.status_code == 404
    assert ids[0] in gone.json()["error"]["message"]
    assert faults.remove().json() == {"faults": []}
