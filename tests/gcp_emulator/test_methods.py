"""The frozen method table says what the installed client libraries say."""

import importlib
import re

import grpc
import pytest
from google.cloud import batch_v1, run_v2, secretmanager_v1
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.monitoring_v3 import MetricServiceClient
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from google.pubsub_v1 import PublisherClient, SchemaServiceClient, SubscriberClient

from gcp_emulator.messages import message_class
from gcp_emulator.methods import METHODS, HttpRule, Method

CLIENTS = [
    batch_v1.BatchServiceClient,
    run_v2.JobsClient,
    run_v2.ExecutionsClient,
    run_v2.TasksClient,
    secretmanager_v1.SecretManagerServiceClient,
    ConfigServiceV2Client,
    LoggingServiceV2Client,
    MetricServiceClient,
    PublisherClient,
    SchemaServiceClient,
    SubscriberClient,
]
# Mixed into every client: locations, which are not part of the emulator, and rights, of which Pub/Sub's are (below). Of
# the configuration of logs, all but sinks; of Monitoring, all but reading time series.
LEFT_OUT = re.compile(
    r"/(GetIamPolicy|SetIamPolicy|TestIamPermissions|GetLocation|ListLocations)$|ConfigServiceV2/(?!\w+Sinks?$)"
    r"|MetricService/(?!ListTimeSeries$)"
)
OPERATIONS = "google.longrunning.Operations"
RIGHTS = "google.iam.v1.IAMPolicy"


class Recorder:
    """Takes the place of a channel and notes what a generated transport asks of it."""

    def __init__(self):
        self.methods = {}

    def _note(self, stream):
        def make(path, request_serializer=None, response_deserializer=None, **_):
            self.methods[path.lstrip("/")] = (stream, request_serializer, response_deserializer)
            return lambda *args, **kwargs: None

        return make

    def __getattr__(self, kind):
        return self._note(kind == "stream_stream")


def record(client_class):
    cls = client_class.get_transport_class("grpc")
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        transport = cls(channel=channel)
        recorder = Recorder()
        transport._logged_channel = recorder
        transport._stubs.clear()
        for name in dir(cls):
            if isinstance(getattr(cls, name), property):
                getattr(transport, name)
    return {path: found for path, found in recorder.methods.items() if not LEFT_OUT.search(path)}


def rules(client_class):
    """REST rules by method name, of a library that has a REST transport."""
    transports = client_class.get_transport_class("grpc").__module__.rpartition(".")[0]
    try:
        module = importlib.import_module(f"{transports}.rest_base")
    except ModuleNotFoundError:
        return {}
    base = next(
        value for name, value in vars(module).items() if name.endswith("RestTransport") and name[0] == "_"
    )
    found = {}
    for name in dir(base):
        inner = getattr(base, name)
        if name.startswith("_Base") and hasattr(inner, "_get_http_options"):
            found[name[5:]] = tuple(
                HttpRule(option["method"].upper(), option["uri"], option.get("body", ""))
                for option in inner._get_http_options()
            )
    return found


def full_name(function):
    owner = function.__self__
    return (owner.pb() if hasattr(owner, "pb") else owner).DESCRIPTOR.full_name


def installed(client_class):
    known = rules(client_class)
    for path, (stream, serialize, deserialize) in record(client_class).items():
        service, _, name = path.partition("/")
        if service != OPERATIONS:
            yield Method(
                service, name, full_name(serialize), full_name(deserialize), stream, known.get(name, ())
            )


@pytest.mark.parametrize("client_class", CLIENTS)
def test_the_table_is_what_the_library_has(client_class):
    """A new library version with another method, type or path shows here, not as a job that fails."""
    for method in installed(client_class):
        frozen = next(known for known in METHODS if known.full_name == method.full_name)
        if client_class in (LoggingServiceV2Client, ConfigServiceV2Client):
            assert (frozen.request, frozen.response, frozen.stream) == (
                method.request,
                method.response,
                method.stream,
            )
        else:
            assert frozen == method


def test_the_table_has_no_method_that_no_library_has():
    names = {method.full_name for client_class in CLIENTS for method in installed(client_class)}
    assert {m.full_name for m in METHODS if m.service not in (OPERATIONS, RIGHTS)} == names


def test_operations_are_those_of_the_service():
    service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    table = {m.name: (m.request, m.response) for m in METHODS if m.service == OPERATIONS}
    assert table == {m.name: (m.input_type.full_name, m.output_type.full_name) for m in service.methods}
    known = [rules(client_class) for client_class in (run_v2.JobsClient, batch_v1.BatchServiceClient)]
    for method in METHODS:
        if method.service == OPERATIONS:
            assert method.http == tuple(rule for table in known for rule in table.get(method.name, ()))


def test_rights_are_those_of_pubsub():
    service = iam_policy_pb2.DESCRIPTOR.services_by_name["IAMPolicy"]
    table = {m.name: (m.request, m.response) for m in METHODS if m.service == RIGHTS}
    assert table == {m.name: (m.input_type.full_name, m.output_type.full_name) for m in service.methods}
    for client_class in (PublisherClient, SubscriberClient):
        known = rules(client_class)
        for method in METHODS:
            if method.service == RIGHTS:
                assert method.http == known[method.name]


def test_every_type_is_known():
    for method in METHODS:
        assert method.request_class is message_class(method.request)
        assert method.response_class is message_class(method.response)
