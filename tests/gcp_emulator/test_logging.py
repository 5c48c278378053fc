"""Cloud Logging through the real clients: what tasks write, what programs write, list, tail, delete."""

import asyncio
import queue
import threading
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging
from google.cloud.logging_v2.types import (
    TailLogEntriesRequest,
    TailLogEntriesResponse,
    WriteLogEntriesRequest,
)

GLOBAL = {"type": "global"}


def write(cloud, *texts, log="mine", **fields):
    parent = f"projects/{cloud.project}"
    entries = [{"text_payload": text, **fields} for text in texts]
    cloud.logging().write_log_entries(
        request=WriteLogEntriesRequest(log_name=f"{parent}/logs/{log}", resource=GLOBAL, entries=entries)
    )


def find(cloud, text="", **options):
    request = {"resource_names": [f"projects/{cloud.project}"], "filter": text, **options}
    return list(cloud.logging().list_log_entries(request))


def test_a_tasks_output_has_cloud_runs_resource_and_labels(cloud):
    job = cloud.create_job("noisy", "say=to stdout", "complain=to stderr", "exit=2", task_count=2)
    execution = cloud.run(job)
    entries = find(cloud, 'labels."run.googleapis.com/task_index"="1"')
    logs = {entry.text_payload: cloud.short(entry.log_name) for entry in entries}
    assert logs["to stdout"] == "run.googleapis.com%2Fstdout"
    assert logs["to stderr"] == "run.googleapis.com%2Fstderr"
    assert logs["Container called exit(2)."] == "run.googleapis.com%2Fvarlog%2Fsystem"
    entry = next(entry for entry in entries if entry.text_payload == "to stdout")
    assert entry.resource.type == "cloud_run_job"
    assert dict(entry.resource.labels) == {
        "project_id": cloud.project,
        "location": "europe-west1",
        "job_name": "noisy",
    }
    assert dict(entry.labels) == {
        "run.googleapis.com/execution_name": cloud.short(execution.name),
        "run.googleapis.com/task_index": "1",
        "run.googleapis.com/task_attempt": "0",
    }
    assert entry.insert_id
    assert entry.receive_timestamp >= entry.timestamp


def test_a_line_of_json_becomes_a_structured_entry(cloud):
    line = (
        '{"severity": "WARNING", "message": "careful", "rows": 3, "nested": {"deep": [1, 2]}, '
        '"time": "2026-01-02T03:04:05.678Z", "logging.googleapis.com/labels": {"own": "label"}, '
        '"logging.googleapis.com/trace": "projects/p/traces/t", "logging.googleapis.com/spanId": "s"}'
    )
    cloud.run(cloud.create_job("structured", f"say={line}"))
    (entry,) = find(
        cloud, "jsonPayload.rows=3 severity=WARNING timestamp<2026-01-03 jsonPayload.nested.deep=2"
    )
    assert dict(entry.json_payload)["message"] == "careful"
    assert "severity" not in entry.json_payload
    assert entry.timestamp == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    assert entry.labels["own"] == "label"
    assert (entry.trace, entry.span_id) == ("projects/p/traces/t", "s")


@pytest.mark.parametrize("line", ["{broken", "{}x", '["list"]', '{"severity": "LOUD", "a": NaN}', "ü – 犬"])
def test_a_line_that_is_no_entry_is_kept_as_it_is(cloud, line):
    """A log line must never get lost because it looks like JSON."""
    cloud.run(cloud.create_job("odd", f"say={line}"))
    assert len(find(cloud, 'log_id("run.googleapis.com/stdout")')) == 1


def test_entries_are_listed_by_time_in_pages(cloud):
    start = datetime.now(UTC) - timedelta(minutes=10)
    for number in (2, 0, 4, 1, 3):
        write(cloud, f"n{number}", timestamp=start + timedelta(seconds=number))
    assert [entry.text_payload for entry in find(cloud, page_size=2)] == ["n0", "n1", "n2", "n3", "n4"]
    newest = find(cloud, page_size=2, order_by="timestamp desc")
    assert [entry.text_payload for entry in newest] == ["n4", "n3", "n2", "n1", "n0"]
    since = (start + timedelta(seconds=3)).isoformat()
    assert [entry.text_payload for entry in find(cloud, f'timestamp>="{since}"')] == ["n3", "n4"]
    with pytest.raises(exceptions.InvalidArgument, match="order_by"):
        find(cloud, order_by="severity")


def test_a_write_fills_in_what_entries_lack(cloud):
    parent = f"projects/{cloud.project}"
    entries = [
        {"text_payload": "bare"},
        {"text_payload": "own", "labels": {"a": "mine"}, "log_name": f"{parent}/logs/other"},
    ]
    cloud.logging().write_log_entries(
        log_name=f"{parent}/logs/shared", resource=GLOBAL, labels={"a": "shared"}, entries=entries
    )
    bare, own = find(cloud)
    assert (bare.log_name, bare.labels["a"], bare.resource.type) == (
        f"{parent}/logs/shared",
        "shared",
        "global",
    )
    assert (own.log_name, own.labels["a"]) == (f"{parent}/logs/other", "mine")
    for request in (
        {"entries": entries, "resource": GLOBAL},
        {"entries": entries[:1], "log_name": f"{parent}/logs/shared"},
    ):
        with pytest.raises(exceptions.InvalidArgument):
            cloud.logging().write_log_entries(request=WriteLogEntriesRequest(**request))


def test_a_dry_run_writes_nothing(cloud):
    parent = f"projects/{cloud.project}"
    request = {
        "log_name": f"{parent}/logs/x",
        "resource": GLOBAL,
        "entries": [{"text_payload": "x"}],
        "dry_run": True,
    }
    cloud.logging().write_log_entries(request=WriteLogEntriesRequest(**request))
    assert find(cloud) == []


def test_logs_are_listed_and_deleted_by_name(cloud):
    write(cloud, "x", log="a")
    write(cloud, "x", log="b")
    parent = f"projects/{cloud.project}"
    logging_client = cloud.logging()
    assert list(logging_client.list_logs(request={"parent": parent, "page_size": 1})) == [
        f"{parent}/logs/a",
        f"{parent}/logs/b",
    ]
    logging_client.delete_log(log_name=f"{parent}/logs/a")
    assert list(logging_client.list_logs(parent=parent)) == [f"{parent}/logs/b"]
    with pytest.raises(exceptions.NotFound):
        logging_client.delete_log(log_name=f"{parent}/logs/a")


@pytest.mark.parametrize(
    "text", ["a = = b", '"open', "nothing=1", "severity=LOUD", "timestamp>yesterday", "f(x)"]
)
def test_a_filter_that_cannot_be_read_is_refused(cloud, text):
    write(cloud, "x")
    with pytest.raises(exceptions.InvalidArgument, match="Unparseable filter"):
        find(cloud, text)


def test_tail_follows_new_entries_only(cloud):
    """The synchronous client's call returns with the first batch, so the writer starts before it."""
    write(cloud, "loud before", severity="ERROR")
    parent = f"projects/{cloud.project}"
    request = TailLogEntriesRequest(
        resource_names=[parent], filter="severity>=ERROR", buffer_window={"nanos": 1}
    )
    requests: queue.Queue[TailLogEntriesRequest | None] = queue.Queue()
    requests.put(request)
    client, stop = cloud.logging(), threading.Event()

    def keep_writing():
        number = 0
        while not stop.wait(0.01):
            entries = [
                {"text_payload": f"quiet {number}"},
                {"text_payload": f"loud {number}", "severity": "ERROR"},
            ]
            client.write_log_entries(log_name=f"{parent}/logs/x", resource=GLOBAL, labels={}, entries=entries)
            number += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        stream = cloud.logging().tail_log_entries(iter(requests.get, None))
        seen = [entry.text_payload for _ in range(3) for entry in next(stream).entries]
        stream.cancel()
    finally:
        stop.set()
        writer.join()
        requests.put(None)
    numbers = [int(text.removeprefix("loud ")) for text in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_googles_logging_library_writes_and_reads_over_rest(cloud):
    client = logging.Client(
        project=cloud.project,
        credentials=AnonymousCredentials(),
        _use_grpc=False,
        client_options={"api_endpoint": cloud.ready["rest"]},
    )
    client.logger("mine").log_struct({"n": 1}, severity="ERROR")
    found = list(client.list_entries(filter_='log_id("mine") severity>=ERROR', order_by=logging.DESCENDING))
    assert [entry.payload["n"] for entry in found] == [1]
    client.logger("mine").delete()
    assert list(client.list_entries(filter_='log_id("mine")')) == []


def test_a_client_that_goes_away_ends_its_tail(cloud):
    """A dead follower must not hold the emulator's memory."""

    async def follow():
        async with grpc.aio.insecure_channel(cloud.ready["grpc"]) as channel:
            call = channel.stream_stream("/google.logging.v2.LoggingServiceV2/TailLogEntries")()
            await call.write(
                TailLogEntriesRequest.serialize(
                    TailLogEntriesRequest(resource_names=[f"projects/{cloud.project}"])
                )
            )
            call.cancel()

    asyncio.run(follow())
    with cloud.http() as http:
        while http.get("/emulator/health").json()["logs"]["followers"]:
            pass


def test_alternatives_of_many_runs_find_each_ones_entries_page_by_page(cloud):
    """A reader of hundreds of jobs asks for all of them at once."""
    for number in range(6):
        write(cloud, f"a{number}", labels={"job_uid": f"uid-{number % 3}"})
    write(cloud, "of both", labels={"job_uid": "uid-1", "run.googleapis.com/execution_name": "run-1"})
    both = 'labels."run.googleapis.com/execution_name"="run-1" OR labels.job_uid=("uid-0" OR "uid-9")'
    assert [entry.text_payload for entry in find(cloud, both, page_size=1)] == ["a0", "a3", "of both"]
    later = '(labels.job_uid="uid-1" AND timestamp>="2999-01-01") OR labels.job_uid="uid-2"'
    assert [entry.text_payload for entry in find(cloud, later)] == ["a2", "a5"]
    newest = find(cloud, 'labels.job_uid=("uid-0" OR "uid-1")', order_by="timestamp desc", page_size=2)
    assert [entry.text_payload for entry in newest] == ["of both", "a4", "a3", "a1", "a0"]
    assert len(find(cloud, 'labels.job_uid="uid-0" OR textPayload="a1"')) == 3


def tail(cloud, count=1, **options):
    """The first answers of a tail, while somebody writes; over the bare API, as the sync client starts late."""

    async def follow():
        got = []
        async with grpc.aio.insecure_channel(cloud.ready["grpc"]) as channel:
            call = channel.stream_stream(
                "/google.logging.v2.LoggingServiceV2/TailLogEntries",
                request_serializer=TailLogEntriesRequest.serialize,
                response_deserializer=TailLogEntriesResponse.deserialize,
            )()
            await call.write(TailLogEntriesRequest(resource_names=[f"projects/{cloud.project}"], **options))
            while len(got) < count:
                await asyncio.to_thread(write, cloud, "line")
                try:
                    async with asyncio.timeout(0.2):
                        got.append(await anext(aiter(call)))
                except TimeoutError:
                    continue
            call.cancel()
        return got

    return asyncio.run(follow())


def test_a_tail_says_how_many_entries_it_left_out(cloud):
    with cloud.http() as http:
        fault = http.post("/emulator/faults", json={"kind": "suppress", "times": 2}).json()
        try:
            answers = tail(cloud, 3, buffer_window={"nanos": 1})
        finally:
            http.delete(f"/emulator/faults/{fault['id']}")
    infos = [info for answer in answers for info in answer.suppression_info]
    assert sum(info.suppressed_count for info in infos) == 2
    assert {info.reason.name for info in infos} == {"RATE_LIMIT"}
    assert answers[-1].entries


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filter": f'textPayload="{"x" * 20_000}"'}, "characters"),
        ({"buffer_window": {"seconds": 61}}, "buffer_window"),
    ],
)
def test_a_tail_beyond_googles_limits_is_refused(cloud, options, said):
    with pytest.raises(grpc.aio.AioRpcError, match=said) as refused:
        tail(cloud, **options)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_project_has_ten_tails_and_gets_one_back_when_a_client_goes(cloud):
    async def follow():
        async with grpc.aio.insecure_channel(cloud.ready["grpc"]) as channel:
            open_tail = channel.stream_stream("/google.logging.v2.LoggingServiceV2/TailLogEntries")
            request = TailLogEntriesRequest.serialize(
                TailLogEntriesRequest(resource_names=[f"projects/{cloud.project}"])
            )
            calls = []
            for _ in range(11):
                calls.append(open_tail())
                await calls[-1].write(request)
            over = await asyncio.gather(
                *(asyncio.wait_for(call.code(), 1) for call in calls), return_exceptions=True
            )
            assert over.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 1
            for call in calls:
                call.cancel()

    asyncio.run(follow())
    with cloud.http() as http:
        while http.get("/emulator/health").json()["logs"]["followers"]:
            pass
    assert tail(cloud, buffer_window={"nanos": 1})
