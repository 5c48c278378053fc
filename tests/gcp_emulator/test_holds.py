"""Calls at their boundaries: held before or after they commit, told of, let go; answers lost; lists that lag."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import run_v2

RUN = "google.cloud.run.v2.Jobs/RunJob"
GET_JOB = "google.cloud.run.v2.Jobs/GetJob"
LIST = "google.cloud.run.v2.Executions/ListExecutions"


class Faults:
    """The emulator's faults as a test uses them."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.seen = len(self.strikes(0))

    def add(self, kind: str, **fields: Any) -> str:
        answer = self.http.post("/emulator/faults", json={"kind": kind, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def strikes(self, wait_s: float = 5.0) -> list[dict[str, Any]]:
        """Those of this test; waits for the next."""
        after = getattr(self, "seen", 0)
        found = self.http.get("/emulator/faults/strikes", params={"after": after, "wait": wait_s}).json()
        return list(found["strikes"])

    def gone_on(self, seconds: float = 20) -> dict[str, Any]:
        """The one strike of this test whose call no longer stands still: a caller's end takes a moment to arrive."""
        until = time.monotonic() + seconds
        while (strike := self.strikes()[0])["held"]:
            assert time.monotonic() < until, "the call still stands still"
            time.sleep(0.02)
        return strike

    def go(self, number: int) -> int:
        return self.http.delete(f"/emulator/faults/strikes/{number}").status_code


@pytest.fixture
def faults(cloud: Any) -> Iterator[Faults]:
    with cloud.http() as http:
        yield Faults(http)
        http.delete("/emulator/faults")


@pytest.fixture
def aside() -> Iterator[Callable[..., threading.Thread]]:
    """Run a call in a thread that has ended when the test has."""
    threads: list[threading.Thread] = []

    def run(call: Callable[[], Any]) -> threading.Thread:
        threads.append(threading.Thread(target=call))
        threads[-1].start()
        return threads[-1]

    yield run
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def executions(cloud: Any, job: Any) -> list[run_v2.Execution]:
    return list(cloud.executions().list_executions(parent=job.name))


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_call_stands_still_at_its_boundary_until_it_is_let_go(
    cloud: Any, faults: Faults, aside: Any, when: str, made: int
) -> None:
    job = cloud.create_job("held")
    faults.add("hold", methods=[RUN], when=when, resource=job.name)
    call = aside(lambda: cloud.jobs().run_job(name=job.name))
    (strike,) = faults.strikes()
    assert (strike["method"], strike["resource"], strike["held"]) == (RUN, job.name, True)
    assert strike["peer"].startswith("127.0.0.1:")
    assert len(executions(cloud, job)) == made
    assert faults.go(strike["number"]) == 200
    call.join(20)
    assert len(executions(cloud, job)) == 1
    assert faults.go(10**6) == 404


def test_a_caller_that_dies_while_its_call_is_held_before_the_commit_has_changed_nothing(
    cloud: Any, faults: Faults
) -> None:
    job = cloud.create_job("dead")
    fault = faults.add("hold", methods=[RUN], resource=job.name)
    with pytest.raises(exceptions.DeadlineExceeded):
        cloud.jobs().run_job(run_v2.RunJobRequest(name=job.name), timeout=0.3, retry=None)
    assert faults.gone_on()["resource"] == job.name
    faults.http.delete(f"/emulator/faults/{fault}")
    assert executions(cloud, job) == []


def test_taking_the_fault_away_lets_go_and_others_were_not_held(
    cloud: Any, faults: Faults, aside: Any
) -> None:
    first, second = cloud.create_job("one"), cloud.create_job("two")
    fault = faults.add("hold", methods=[GET_JOB], resource=f"{first.name}*", skip=1, times=None)
    assert cloud.jobs().get_job(name=second.name).name == second.name
    assert cloud.jobs().get_job(name=first.name).name == first.name
    call = aside(lambda: cloud.jobs().get_job(name=first.name))
    assert [strike["resource"] for strike in faults.strikes()] == [first.name]
    faults.http.delete(f"/emulator/faults/{fault}")
    call.join(20)


def test_an_answered_call_is_told_of_and_not_held(cloud: Any, faults: Faults) -> None:
    job = cloud.create_job("answered")
    faults.add("hold", methods=[GET_JOB], when="answered", resource=job.name)
    cloud.jobs().get_job(name=job.name)
    (strike,) = faults.strikes()
    assert (strike["when"], strike["held"]) == ("answered", False)


def test_an_answer_is_lost_though_the_call_went_through(cloud: Any, faults: Faults) -> None:
    job = cloud.create_job("lost")
    faults.add("call", methods=[RUN], when="after", code="UNAVAILABLE", times=1)
    with pytest.raises(exceptions.ServiceUnavailable):
        cloud.jobs().run_job(run_v2.RunJobRequest(name=job.name), retry=None)
    assert len(executions(cloud, job)) == 1


def test_a_list_lags_behind_what_was_made(cloud: Any, faults: Faults) -> None:
    job = cloud.create_job("lagging")
    cloud.run(job)
    assert len(executions(cloud, job)) == 1
    fault = faults.add("lag", behind_s=3600)
    assert executions(cloud, job) == []
    assert faults.http.get(f"/emulator/faults/{fault}").json()["hits"] == 1
    faults.http.delete(f"/emulator/faults/{fault}")
    assert len(executions(cloud, job)) == 1


def test_the_log_of_calls_says_what_each_was_about_and_whose_it_was(cloud: Any, faults: Faults) -> None:
    job = cloud.create_job("about")
    executions(cloud, job)
    recent = faults.http.get("/emulator/calls?recent=20").json()["recent"]
    mine = {(call["method"].rpartition("/")[2], call["resource"]) for call in recent}
    assert {("CreateJob", job.name), ("ListExecutions", job.name)} <= mine
    assert all(":" in call["peer"] for call in recent)


def test_what_cannot_be_asked_for_is_refused(faults: Faults) -> None:
    for wrong in ({"when": "later"}, {"resource": 3}, {"skip": -1}):
        answer = faults.http.post("/emulator/faults", json={"kind": "hold", "methods": ["*/RunJob"], **wrong})
        assert answer.status_code == 400
    assert faults.http.get("/emulator/faults/strikes?after=x").status_code == 400
