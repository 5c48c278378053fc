"""Lists of jobs and tasks: filter, order and pages, and newest first without reading the rest."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_emulator.batch.listing import Wanted, list_page
from gcp_emulator.batch.states import JobState
from gcp_emulator.filters import matches, parse
from gcp_emulator.messages import BatchJob
from gcp_emulator.store import Store

PARENT = "projects/proj-1/locations/europe-west1"
MANY = 200_000
START = 1_790_000_000


def ids(jobs):
    return [job.name.rpartition("/")[2] for job in jobs]


def listed(batch, **request):
    return ids(batch.client.list_jobs(request={"parent": batch.cloud.parent, **request}))


def test_jobs_are_listed_newest_first_by_any_order_and_in_pages(batch):
    for job_id in ("b", "a", "c"):
        batch.create(batch.job("true"), job_id)
    assert listed(batch) == ["c", "a", "b"]
    assert listed(batch, order_by="create_time") == ["b", "a", "c"]
    assert listed(batch, order_by="create_time desc", page_size=1) == ["c", "a", "b"]
    assert listed(batch, order_by="name", page_size=2) == ["a", "b", "c"]
    assert listed(batch, order_by="name desc", page_size=1) == ["c", "b", "a"]
    with pytest.raises(exceptions.InvalidArgument, match="order_by"):
        listed(batch, order_by="uid")
    page = batch.client.list_jobs(request={"parent": batch.cloud.parent, "page_size": 1})
    with pytest.raises(exceptions.InvalidArgument, match="page_token"):
        listed(batch, order_by="name", page_token=page.next_page_token)


def test_filters_narrow_jobs_and_tasks(batch):
    labelled = batch.job("true")
    labelled.labels = {"team": "data"}
    batch.wait(batch.create(labelled, "good").name)
    bad = batch.wait(batch.create(batch.job("exit $BATCH_TASK_INDEX", group={"task_count": 2}), "bad").name)
    assert listed(batch, filter="status.state=FAILED") == ["bad"]
    assert listed(batch, filter='status.state="SUCCEEDED" AND labels.team=data') == ["good"]
    assert listed(batch, filter='create_time>="2000-01-01T00:00:00Z"') == ["bad", "good"]
    assert listed(batch, filter='createTime>"2100-01-01T00:00:00Z"') == []
    assert [task.name[-1] for task in batch.tasks(bad, "State=FAILED")] == ["1"]
    assert [task.name[-1] for task in batch.tasks(bad, "status.state:SUCCEEDED")] == ["0"]
    with pytest.raises(exceptions.InvalidArgument, match="Field not found: 'colour'"):
        listed(batch, filter="colour=red")


@pytest.fixture(scope="module")
def full():
    """A region's list of finished jobs as long as sixty busy days make it."""
    store = Store()
    job = BatchJob()
    job.status.state = JobState.SUCCEEDED
    for number in range(MANY):
        job.name = f"{PARENT}/jobs/j-{number:06}"
        job.create_time.seconds = START + number
        store.put(job)
    yield store
    store.close()


def page(store, **request):
    given = {"filter": "", "page_size": 100, "page_token": "", "order_by": ""} | request
    wanted = Wanted.read(BatchJob, PARENT, SimpleNamespace(**given), given["order_by"])
    start = time.monotonic()
    found, token = asyncio.run(list_page(store, BatchJob, wanted, lambda job: job))
    return found, token, time.monotonic() - start


def test_the_newest_of_two_hundred_thousand_jobs_come_at_once(full):
    """A sweep that had to wait for the whole list would stall every waiter."""
    recent = f'create_time>="2026-09-21T{"00:00:00"}Z"'
    for request in (
        {"order_by": "create_time desc"},
        {"order_by": "name desc"},
        {"filter": "status.state=SUCCEEDED"},
        {"filter": recent, "page_size": 1000},
    ):
        found, token, seconds = page(full, **request)
        assert ids(found)[0] == f"j-{MANY - 1:06}"
        assert token
        assert seconds < 1, request
    beyond = START + MANY - 3
    text = f'create_time>="{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(beyond))}" status.state=SUCCEEDED'
    found, token, seconds = page(full, filter=text)
    assert (len(found), token) == (3, "")
    assert seconds < 1


@settings(max_examples=40, deadline=None)
@given(
    states=st.lists(st.sampled_from(list(JobState)[1:]), max_size=12),
    text=st.sampled_from(
        ["", "status.state=FAILED", "NOT status.state=FAILED", "name:3 OR status.state=RUNNING"]
    ),
    order=st.sampled_from(["", "name", "name desc", "create_time", "create_time desc"]),
    size=st.integers(1, 5),
)
def test_pages_together_are_the_filtered_list(states, text, order, size):
    store, jobs = Store(), []
    for number, state in enumerate(states):
        job = BatchJob(name=f"{PARENT}/jobs/{(number * 7) % 13}-{number}")
        job.create_time.seconds, job.status.state = number, state
        store.put(job)
        jobs.append(job)
    found, token = [], ""
    while True:
        some, token, _ = page(store, filter=text, order_by=order, page_size=size, page_token=token)
        assert len(some) <= size
        found += some
        if not token:
            break
    expected = [job for job in jobs if not text or matches(parse(text), job)]
    if order.startswith("name"):
        expected.sort(key=lambda job: job.name)
    if order in ("", "name desc", "create_time desc"):
        expected.reverse()
    assert ids(found) == ids(expected)
    store.close()


def test_a_list_that_is_not_there_is_empty(batch):
    request = {"parent": f"projects/{batch.cloud.project}/locations/-"}
    assert list(batch.client.list_jobs(request=request)) == []
    batch.create(batch_v1.Job(batch.job("true")), "one")
    assert ids(batch.client.list_jobs(request=request)) == ["one"]
