"""The pages for people: where a link to a local job leads, and that nothing a job prints can do harm there."""

import re
import time
from html import unescape
from urllib.parse import quote, unquote

import pytest
from google.cloud import batch_v1
from google.cloud.logging_v2.types import WriteLogEntriesRequest
from google.pubsub_v1 import PublisherClient, SubscriberClient

from gcp_emulator.logs.store import EXECUTION_LABEL


@pytest.fixture
def http(cloud):
    with cloud.http() as client:
        yield client


def page(http, path, status=200):
    """A page's text, which is whole HTML and may load and run nothing."""
    answer = http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text.startswith("<!doctype html>")
    return answer.text


def rows(text, title):
    """The cells of a section's table, as a reader sees them."""
    part = text.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]
    found = re.findall(r"<tr>(<td>.*?)</tr>", part, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in found
    ]


def links(text):
    return [unescape(path) for path in re.findall(r'href="([^"]*)"', text)]


@pytest.fixture
def failed(cloud):
    """An execution of which the second task failed."""
    return cloud.run(cloud.create_job("shown", "say=hello", "fail-task=1", task_count=2))


def test_an_execution_shows_its_tasks_and_its_log(cloud, http, failed):
    text = page(http, f"/emulator/executions/{failed.name}")
    assert [row[:3] for row in rows(text, "Tasks")] == [["0", "SUCCEEDED", "0"], ["1", "FAILED", "7"]]
    said = [row[2:] for row in rows(text, "Log")]
    assert said.count(["0", "hello"]) == 1
    assert [
        "",
        f"Execution {cloud.short(failed.name)} has failed to complete, 1/2 tasks were a success.",
    ] in said
    assert "2: 1 succeeded, 1 failed" in unescape(text)


def test_every_link_of_a_page_leads_somewhere(cloud, http, failed):
    """From the first page to an execution, to one task's log."""
    start = page(http, "/emulator/")
    assert page(http, "/emulator").count("<h2>") == start.count("<h2>")
    assert f"/emulator/executions/{failed.name}" in links(start)
    for path in links(start):
        if cloud.project not in path and "projects/" in unquote(path):
            continue  # a neighbour's
        assert http.get(path).status_code == 200, path
    (_, second) = [
        path for path in links(page(http, f"/emulator/executions/{failed.name}")) if "logs" in path
    ]
    log = page(http, second)
    assert "hello" in log
    assert {row[2] for row in rows(log.replace("</h1>", "</h1><h2>Log</h2>"), "Log")} == {"1"}


@pytest.mark.parametrize("end", [0, 5])
def test_a_batch_job_shows_its_tasks_events_and_log(cloud, http, end):
    client = cloud.client(batch_v1.BatchServiceClient)
    script = {"script": {"text": f"echo from the task; exit {end}"}}
    job = client.create_job(
        parent=cloud.parent,
        job_id="shown",
        job=batch_v1.Job(
            task_groups=[{"task_spec": {"runnables": [script]}, "task_count": 2}],
            logs_policy={"destination": "CLOUD_LOGGING"},
        ),
    )
    deadline = time.monotonic() + 30
    while client.get_job(name=job.name).status.state.name not in ("SUCCEEDED", "FAILED"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    text = page(http, f"/emulator/batch/{job.name}")
    state = "FAILED" if end else "SUCCEEDED"
    assert [row[:3] for row in rows(text, "Tasks")] == [
        [f"{job.uid}-group0-{index}", state, str(end)] for index in range(2)
    ]
    assert sorted(row[2:] for row in rows(text, "Log") if "from" in row[3]) == [
        ["0", "from the task"],
        ["1", "from the task"],
    ]
    assert any("QUEUED" in row[2] for row in rows(text, "Events"))
    by_uid, by_name = (
        page(http, f"/emulator/logs?resource={quote(who, safe='')}") for who in (job.uid, job.name)
    )
    assert by_uid.count("from the task") == by_name.count("from the task") == 2
    one = page(http, f"/emulator/logs?resource={job.name}/taskGroups/group0/tasks/1")
    assert one.count("from the task") == 1
    assert f"/emulator/batch/{job.name}" in links(page(http, "/emulator/"))


def test_what_jobs_print_stays_text(cloud, http):
    """A job's output, argument or name must never become part of the page."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    execution = cloud.run(cloud.create_job("evil", f"say={evil}", f'say={{"message": "{evil}"}}'))
    text = page(http, f"/emulator/executions/{execution.name}")
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    name = '"><script>alert(3)</script>'
    for path, status in (
        (f"/emulator/logs?resource={quote(name)}", 200),
        (f"/emulator/executions/{quote(name)}", 404),
        (f"/emulator/batch/{quote(name)}", 404),
    ):
        text += page(http, path, status)
    assert "<script" not in text
    assert "<img" not in text


def test_a_long_log_is_cut_at_its_beginning(cloud, http):
    owner = f"long-{cloud.project}"
    entries = [{"text_payload": f"line {n:04}", "labels": {EXECUTION_LABEL: owner}} for n in range(620)]
    cloud.logging().write_log_entries(
        WriteLogEntriesRequest(
            log_name=f"projects/{cloud.project}/logs/x", resource={"type": "global"}, entries=entries
        )
    )
    text = page(http, f"/emulator/logs?resource={owner}")
    assert re.findall(r"line (\d+)", text) == [f"{n:04}" for n in range(120, 620)]
    assert "The last 500 of 620 lines." in text


def test_topics_subscriptions_sinks_faults_and_calls_are_shown(cloud, http):
    topic = cloud.client(PublisherClient).create_topic(name=f"projects/{cloud.project}/topics/told")
    cloud.client(SubscriberClient).create_subscription(
        name=f"projects/{cloud.project}/subscriptions/heard", topic=topic.name
    )
    cloud.client(PublisherClient).publish(topic=topic.name, messages=[{"data": b"x"}])
    fault = http.post(
        "/emulator/faults", json={"kind": "call", "methods": ["*/ListSchemas"], "code": "UNAVAILABLE"}
    ).json()
    text = page(http, "/emulator/")
    assert ["told", cloud.project, "1"] in rows(text, "Pub/Sub topics")
    assert ["heard", cloud.project, topic.name, "1"] in rows(text, "Pub/Sub subscriptions")
    assert fault["id"] in [row[0] for row in rows(text, "Faults")]
    assert "google.pubsub.v1.Publisher/Publish" in [row[0] for row in rows(text, "Calls")]
    http.delete(f"/emulator/faults/{fault['id']}")


def test_what_is_not_there_is_said(cloud, http):
    gone = f"{cloud.parent}/jobs/none"
    assert "does not exist" in page(http, f"/emulator/executions/{gone}/executions/none-1", 404)
    assert "was not found" in page(http, f"/emulator/batch/{gone}", 404)
    assert "was not found" in page(http, f"/emulator/logs?resource={gone}", 404)
    assert "resource=NAME" in page(http, "/emulator/logs", 400)
    assert "none" in page(http, "/emulator/logs?resource=nobody-1")
    assert http.post("/emulator/").status_code in (404, 405)
