"""Resources and log entries as they are kept: order, pages, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.logs.query import Query
from gcp_emulator.logs.store import EXECUTION_LABEL, LogStore
from gcp_emulator.messages import Execution, Job, LogEntry, message_class
from gcp_emulator.pages import list_page
from gcp_emulator.store import Store

PARENT = "projects/p/locations/l"
ListJobsRequest = message_class("google.cloud.run.v2.ListJobsRequest")


def all_pages(store, cls, parent, size, **options):
    token, pages = "", []
    while True:
        request = ListJobsRequest(page_size=size, page_token=token)
        found, token = list_page(store, cls, parent, request, **options)
        pages.append([message.name for message in found])
        if not token:
            return pages


@given(st.integers(0, 12), st.integers(1, 5), st.booleans())
def test_pages_hold_everything_once_and_in_order(count, size, oldest_first):
    store = Store()
    names = [f"{PARENT}/jobs/j{number}" for number in range(count)]
    for name in names:
        store.put(Job(name=name))
    pages = all_pages(store, Job, PARENT, size, oldest_first=oldest_first)
    wanted = names if oldest_first else names[::-1]
    assert [name for page in pages for name in page] == wanted
    assert all(len(page) == size for page in pages[:-1])
    store.close()


def test_a_change_keeps_a_resources_place_and_a_new_life_does_not():
    store = Store()
    for name in ("a", "b"):
        store.put(Job(name=f"{PARENT}/jobs/{name}"))
    store.put(Job(name=f"{PARENT}/jobs/a", generation=2))
    assert [job.name[-1] for _, job in store.page(Job, PARENT)] == ["b", "a"]
    store.put(Job(name=f"{PARENT}/jobs/a"), deleted=True)
    assert store.get(Job, f"{PARENT}/jobs/a") is None
    assert [job.name[-1] for _, job in store.page(Job, PARENT, deleted=True)] == ["b", "a"]
    store.put(Job(name=f"{PARENT}/jobs/a"))
    assert [job.name[-1] for _, job in store.page(Job, PARENT)] == ["a", "b"]
    store.close()


def test_a_dash_stands_for_any_parent():
    store = Store()
    for job in ("a", "b"):
        store.put(Execution(name=f"{PARENT}/jobs/{job}/executions/x"))
    store.put(Execution(name="projects/p/locations/other/jobs/a/executions/x"))
    assert len(store.page(Execution, f"{PARENT}/jobs/-")) == 2
    assert len(store.page(Execution, f"{PARENT}/jobs/a")) == 1
    store.close()


def test_a_token_fits_only_its_own_list():
    store = Store()
    for number in range(3):
        store.put(Job(name=f"{PARENT}/jobs/j{number}"))
    _, token = list_page(store, Job, PARENT, ListJobsRequest(page_size=1))
    for other in ("!", "AAAA", token[:-4]):
        with pytest.raises(InvalidArgument, match="page_token"):
            list_page(store, Job, PARENT, ListJobsRequest(page_token=other))
    with pytest.raises(InvalidArgument, match="other parameters"):
        list_page(store, Job, "projects/p/locations/elsewhere", ListJobsRequest(page_token=token))
    store.close()


def entry(number, execution="", seconds=None):
    made = LogEntry(log_name="projects/p/logs/l", text_payload=str(number))
    made.timestamp.seconds = number if seconds is None else seconds
    if execution:
        made.labels[EXECUTION_LABEL] = execution
    return made


def texts(store, text):
    return [
        kept.entry.text_payload for kept in Query.read(["projects/p"], text).run(store, newest_first=False)
    ]


def test_beyond_the_limit_the_oldest_entries_go_and_are_counted():
    """A job that floods its log must not eat the machine's memory."""
    store = LogStore(limit=100)
    for number in range(250):
        store.add(entry(number, execution=f"e{number // 10}"))
    assert store.counts()["kept"] <= 100
    assert store.counts()["kept"] + store.dropped == 250
    assert texts(store, "timestamp>=1970-01-01")[-1] == "249"
    assert texts(store, f'labels."{EXECUTION_LABEL}"="e0"') == []
    assert len(texts(store, f'labels."{EXECUTION_LABEL}"="e24"')) == 10


@given(st.lists(st.integers(0, 20), max_size=15), st.integers(0, 20), st.integers(0, 20))
def test_times_narrow_a_search_without_losing_entries(times, start, end):
    store = LogStore()
    for number, seconds in enumerate(times):
        store.add(entry(number, seconds=seconds))
    found = texts(store, f'timestamp>="1970-01-01T00:00:{start:02}Z" timestamp<"1970-01-01T00:00:{end:02}Z"')
    wanted = sorted((seconds, number) for number, seconds in enumerate(times) if start <= seconds < end)
    assert found == [str(number) for _, number in wanted]
