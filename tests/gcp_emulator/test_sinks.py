"""Log sinks through the real clients: which entries reach a topic, in which form, and what is refused."""

import functools
import json
import time

import pytest
from google.api_core import exceptions
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.types import LogSink, UpdateSinkRequest, WriteLogEntriesRequest
from google.protobuf import any_pb2
from google.pubsub_v1 import PublisherClient, SubscriberClient

from gcp_emulator import process

COMPLETED = (
    'log_id("cloudaudit.googleapis.com/system_event") resource.type="cloud_run_job" '
    'protoPayload.methodName="/Jobs.RunJob"'
)


class Exports:
    """A project with a topic, a subscription to it, and sinks that lead there."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.parent = f"projects/{cloud.project}"
        self.topic = f"{self.parent}/topics/logs"
        self.subscription = f"{self.parent}/subscriptions/logs"
        self.config = cloud.client(ConfigServiceV2Client)
        self.publisher = cloud.client(PublisherClient)
        self.subscriber = cloud.client(SubscriberClient)
        self.publisher.create_topic(name=self.topic)
        self.subscriber.create_subscription(name=self.subscription, topic=self.topic)

    def sink(self, name="all", filter="", **fields):
        fields.setdefault("destination", f"pubsub.googleapis.com/{self.topic}")
        sink = LogSink(name=name, filter=filter, **fields)
        return self.config.create_sink(parent=self.parent, sink=sink)

    def update(self, sink_name, mask=(), unique=False, **fields):
        request = {
            "sink_name": f"{self.parent}/sinks/{sink_name}",
            "sink": fields,
            "unique_writer_identity": unique,
        }
        return self.config.update_sink(
            UpdateSinkRequest(**request, update_mask={"paths": list(mask)} if mask else None)
        )

    def write(self, *texts, **fields):
        entries = [{"text_payload": text, **fields} for text in texts]
        request = WriteLogEntriesRequest(
            log_name=f"{self.parent}/logs/mine", resource={"type": "global"}, entries=entries
        )
        self.cloud.logging().write_log_entries(request=request)

    def messages(self, count):
        """The next messages; none may be left over."""
        found = []
        while len(found) < count:
            answer = self.subscriber.pull(subscription=self.subscription, max_messages=100, timeout=30)
            found += answer.received_messages
            self.subscriber.acknowledge(
                subscription=self.subscription, ack_ids=[r.ack_id for r in answer.received_messages]
            )
        assert len(found) == count
        return [received.message for received in found]

    def entries(self, count):
        return [json.loads(message.data) for message in self.messages(count)]

    def texts(self, count):
        return [entry["textPayload"] for entry in self.entries(count)]


@pytest.fixture
def exports(cloud):
    return Exports(cloud)


def test_a_matching_entry_arrives_as_googles_json(exports):
    """Consumers of a real sink parse these fields and read the time from the attribute."""
    exports.sink(filter='severity>=ERROR labels.team="dogs"')
    exports.write("not me", severity="INFO", labels={"team": "dogs"})
    exports.write(
        "me", severity="ERROR", labels={"team": "dogs"}, timestamp={"seconds": 1_700_000_000, "nanos": 5}
    )
    (message,) = exports.messages(1)
    assert dict(message.attributes) == {"logging.googleapis.com/timestamp": "2023-11-14T22:13:20.000000005Z"}
    entry = json.loads(message.data)
    assert entry.pop("insertId")
    assert entry.pop("receiveTimestamp")
    assert entry == {
        "logName": f"{exports.parent}/logs/mine",
        "resource": {"type": "global"},
        "severity": "ERROR",
        "labels": {"team": "dogs"},
        "textPayload": "me",
        "timestamp": "2023-11-14T22:13:20.000000005Z",
    }


def test_what_tasks_print_is_exported_too(exports, cloud):
    exports.sink(filter='log_id("run.googleapis.com/stdout")')
    cloud.run(cloud.create_job("speaker", "say=one", 'say={"message": "two", "rows": 3}'))
    one, two = exports.entries(2)
    assert one["textPayload"] == "one"
    assert two["jsonPayload"] == {"message": "two", "rows": 3}
    assert two["resource"]["labels"]["job_name"] == "speaker"


def test_exclusions_disabled_sinks_and_other_projects_get_nothing(exports):
    exports.sink("some", exclusions=[{"name": "secret", "filter": '"password"'}])
    exports.sink("off", disabled=True)
    other = f"projects/{exports.cloud.project}-other"
    request = WriteLogEntriesRequest(
        log_name=f"{other}/logs/x", resource={"type": "global"}, entries=[{"text_payload": "elsewhere"}]
    )
    exports.cloud.logging().write_log_entries(request=request)
    exports.write("my password", "harmless")
    assert exports.texts(1) == ["harmless"]


@pytest.mark.parametrize("exit_code", [0, 3])
def test_the_end_of_an_execution_is_told_as_on_google_cloud(exports, cloud, exit_code):
    """What a log sink for completed Cloud Run jobs gets: its consumers read the outcome from the response."""
    exports.sink(filter=COMPLETED)
    job = cloud.create_job(
        "told", f"exit={exit_code}", task_count=2, container={"env": [{"name": "KEY", "value": "v"}]}
    )
    execution = cloud.run(job)
    name = cloud.short(execution.name)
    (entry,) = exports.entries(1)
    assert entry["logName"] == f"{exports.parent}/logs/cloudaudit.googleapis.com%2Fsystem_event"
    assert entry["severity"] == ("ERROR" if exit_code else "INFO")
    assert entry["resource"]["labels"] == {
        "project_id": cloud.project, "location": cloud.region, "job_name": "told"
    }  # fmt: skip
    assert entry["labels"] == {"run.googleapis.com/execution_name": name}
    payload = entry["protoPayload"]
    assert payload["@type"] == "type.googleapis.com/google.cloud.audit.AuditLog"
    assert (payload["serviceName"], payload["methodName"]) == ("run.googleapis.com", "/Jobs.RunJob")
    assert payload["resourceName"] == f"namespaces/{cloud.project}/executions/{name}"
    said = "has failed to complete, 0/2 tasks were a success." if exit_code else "has completed successfully."
    assert payload["status"]["message"] == f"Execution {name} {said}"
    response = payload["response"]
    assert (response["kind"], response["apiVersion"]) == ("Execution", "run.googleapis.com/v1")
    assert response["metadata"]["name"] == name
    assert response["metadata"]["uid"] == execution.uid
    assert response["metadata"]["labels"]["cloud.googleapis.com/location"] == cloud.region
    assert response["metadata"]["labels"]["run.googleapis.com/jobUid"] == job.uid
    assert response["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "KEY", "value": "v"}]
    status = response["status"]
    assert status["failedCount" if exit_code else "succeededCount"] == 2
    assert status["completionTime"]
    completed = next(c for c in status["conditions"] if c["type"] == "Completed")
    assert completed["status"] == ("False" if exit_code else "True")
    assert completed.get("reason") == ("NonZeroExitCode" if exit_code else None)


def test_a_cancelled_execution_is_told_with_its_reason(exports, cloud):
    exports.sink(filter=COMPLETED)
    operation = cloud.jobs().run_job(name=cloud.create_job("stopped", "sleep=60").name)
    cloud.executions().cancel_execution(name=operation.metadata.name).exception(30)
    (entry,) = exports.entries(1)
    status = entry["protoPayload"]["response"]["status"]
    completed = next(c for c in status["conditions"] if c["type"] == "Completed")
    assert (completed["status"], completed["reason"]) == ("False", "Cancelled")
    assert status["cancelledCount"] == 1


def test_the_audit_entry_can_be_found_and_left_out(exports, cloud):
    """Log followers leave it out, or each job's log would end in an empty line."""
    name = cloud.short(cloud.run(cloud.create_job("found", "say=hello")).name)
    mine = f'labels."run.googleapis.com/execution_name"="{name}" '

    def found(text):
        return list(cloud.logging().list_log_entries(resource_names=[exports.parent], filter=mine + text))

    deadline = time.monotonic() + 10
    while not found('log_id("cloudaudit.googleapis.com/system_event")'):
        assert time.monotonic() < deadline
    assert len(found('protoPayload.response.status.conditions.type="Completed"')) == 1
    rest = found('NOT logName:"cloudaudit.googleapis.com"')
    assert [entry.text_payload for entry in rest] == ["hello"]


def test_sinks_are_listed_in_pages_changed_and_deleted(exports):
    for name in ("b", "a", "c"):
        exports.sink(name, description=f"sink {name}")
    pages = list(exports.config.list_sinks(request={"parent": exports.parent, "page_size": 2}).pages)
    assert [[sink.name for sink in page.sinks] for page in pages] == [["a", "b"], ["c"]]
    changed = exports.update(
        "a", ["filter", "disabled"], filter="severity=ERROR", disabled=True, description="no"
    )
    assert (changed.filter, changed.disabled, changed.description) == ("severity=ERROR", True, "sink a")
    assert changed.update_time > changed.create_time
    without_mask = exports.update("a", destination=changed.destination, description="no")
    assert (without_mask.filter, without_mask.disabled, without_mask.description) == ("", True, "sink a")
    name = f"{exports.parent}/sinks/a"
    assert exports.config.get_sink(sink_name=name) == without_mask
    exports.config.delete_sink(sink_name=name)
    for call in (exports.config.get_sink, exports.config.delete_sink):
        with pytest.raises(exceptions.NotFound, match="Sink a does not exist"):
            call(sink_name=name)
    with pytest.raises(exceptions.NotFound):
        exports.update("a", ["filter"], filter="x")


def test_a_changed_filter_holds_at_once(exports):
    exports.sink(filter='"first"')
    exports.write("first", "second")
    exports.update("all", ["filter"], filter='"second"')
    exports.write("first again", "second again")
    assert exports.texts(2) == ["first", "second again"]


def test_writer_identities(exports):
    shared = exports.sink("shared")
    assert shared.writer_identity == "serviceAccount:cloud-logs@system.gserviceaccount.com"
    assert exports.update("shared", ["description"], unique=True).writer_identity.endswith(
        "@gcp-sa-logging.iam.gserviceaccount.com"
    )
    with pytest.raises(exceptions.InvalidArgument, match="unique_writer_identity"):
        exports.update("shared", ["description"])


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"filter": "severity>="}, exceptions.InvalidArgument, "Unparseable filter"),
        ({"filter": 'colour="red"'}, exceptions.InvalidArgument, "Field not found: 'colour'"),
        ({"filter": "x" * 20_001}, exceptions.InvalidArgument, "20000"),
        ({"name": "has spaces"}, exceptions.InvalidArgument, "has spaces"),
        ({"destination": "storage.googleapis.com/bucket"}, exceptions.MethodNotImplemented, "Cloud Storage"),
        (
            {"destination": "bigquery.googleapis.com/projects/p/datasets/d"},
            exceptions.MethodNotImplemented,
            "BigQuery",
        ),
        (
            {"destination": "logging.googleapis.com/projects/p"},
            exceptions.MethodNotImplemented,
            "log buckets",
        ),
        ({"destination": "pubsub.googleapis.com/projects/p"}, exceptions.InvalidArgument, "destination"),
        ({"destination": "projects/p/topics/t"}, exceptions.InvalidArgument, "destination"),
        ({"exclusions": [{"name": "e"}]}, exceptions.InvalidArgument, "must have a filter"),
        ({"exclusions": [{"name": "e", "filter": "=("}]}, exceptions.InvalidArgument, "Unparseable filter"),
        ({"exclusions": [{"name": "e", "filter": "a"}] * 2}, exceptions.InvalidArgument, "twice"),
    ],
)
def test_a_sink_that_could_not_work_is_refused(exports, fields, error, words):
    with pytest.raises(error, match=words):
        exports.sink(**fields)
    assert list(exports.config.list_sinks(parent=exports.parent)) == []


def test_bad_updates_and_a_taken_name_are_refused(exports):
    exports.sink()
    with pytest.raises(exceptions.AlreadyExists):
        exports.sink()
    for mask, fields in ((["name"], {}), (["writer_identity"], {}), (["filter"], {"name": "other"})):
        with pytest.raises(exceptions.InvalidArgument):
            exports.update("all", mask, **fields)
    with pytest.raises(exceptions.InvalidArgument, match="Unparseable"):
        exports.update("all", ["filter"], filter="=")
    assert exports.config.get_sink(sink_name=f"{exports.parent}/sinks/all").filter == ""


def test_a_deleted_topic_drops_and_counts_and_the_writer_never_notices(exports):
    exports.sink()
    exports.publisher.delete_topic(topic=exports.topic)
    with exports.cloud.http() as http:
        before = http.get("/emulator/health").json()["sinks"]
        exports.write("into the void")
        exports.publisher.create_topic(name=exports.topic)
        exports.subscriber.create_subscription(name=f"{exports.subscription}-2", topic=exports.topic)
        exports.subscription += "-2"
        exports.write("arrives")
        assert exports.texts(1) == ["arrives"]
        after = http.get("/emulator/health").json()["sinks"]
    assert after["dropped"] >= before["dropped"] + 1
    assert after["published"] >= before["published"] + 1


def test_a_filter_that_no_entry_can_be_asked_never_stops_a_writer(exports):
    exports.sink("odd", filter="severity=LOUD")
    exports.sink("plain")
    exports.write("still here")
    assert exports.texts(1) == ["still here"]


def test_a_program_may_write_an_audit_entry_and_nothing_that_cannot_be_read(exports):
    audit = audit_log_pb2.AuditLog(method_name="mine")
    payload = any_pb2.Any()
    payload.Pack(audit)
    exports.sink(filter='protoPayload.methodName="mine"')
    request = {"log_name": f"{exports.parent}/logs/mine", "resource": {"type": "global"}}
    client = exports.cloud.logging()
    client.write_log_entries(WriteLogEntriesRequest(**request, entries=[{"proto_payload": payload}]))
    assert exports.entries(1)[0]["protoPayload"]["methodName"] == "mine"
    for url, value in (("type.googleapis.com/a.b.C", b""), (payload.type_url, b"\xff\xff")):
        odd = any_pb2.Any(type_url=url, value=value)
        with pytest.raises(exceptions.InvalidArgument, match="proto_payload"):
            client.write_log_entries(WriteLogEntriesRequest(**request, entries=[{"proto_payload": odd}]))


def test_sinks_over_rest(exports):
    with exports.cloud.http() as http:
        sink = {"name": "rest", "destination": f"pubsub.googleapis.com/{exports.topic}", "filter": '"x"'}
        made = http.post(
            f"/v2/{exports.parent}/sinks", params={"uniqueWriterIdentity": "true"}, json=sink
        ).json()
        assert made.items() >= sink.items()
        path = f"/v2/{exports.parent}/sinks/rest"
        changed = http.patch(
            path, params={"uniqueWriterIdentity": "true", "updateMask": "filter"}, json={"filter": '"y"'}
        ).json()
        assert changed["filter"] == '"y"'
        assert http.get(f"/v2/{exports.parent}/sinks").json()["sinks"] == [changed]
        assert http.get(path).json() == changed
        assert http.delete(path).json() == {}
        assert http.get(path).status_code == 404


def test_sinks_with_the_gcloud_cli(exports, gcloud):
    sinks = functools.partial(gcloud, "logging", "sinks")
    sinks("create", "mine", f"pubsub.googleapis.com/{exports.topic}", "--log-filter=severity=ERROR")
    sinks("update", "mine", "--log-filter=severity>=INFO", "--add-exclusion=name=no,filter=password")
    (sink,) = sinks("list")
    assert (sink["filter"], sink["exclusions"][0]["filter"]) == ("severity>=INFO", "password")
    exports.write("a password", "b", severity="INFO")
    assert exports.texts(1) == ["b"]


def test_sinks_outlive_the_emulator(tmp_path, images, cloud):
    made = cloud.__class__
    options = {"images": images, "env_cache": tmp_path / "environments", "state": tmp_path / "state"}
    with process.start(**options) as ready:
        world = made(ready, "kept")
        sink = Exports(world).sink(filter='"wanted"')
        world.close()
    with process.start(**options) as ready:
        world = made(ready, "kept")
        config = world.client(ConfigServiceV2Client)
        assert list(config.list_sinks(parent="projects/kept")) == [sink]
        again = Exports.__new__(Exports)
        again.cloud, again.parent = world, "projects/kept"
        again.subscription, again.subscriber = (
            "projects/kept/subscriptions/logs",
            world.client(SubscriberClient),
        )
        again.write("wanted", "other")
        assert again.texts(1) == ["wanted"]
        world.close()
