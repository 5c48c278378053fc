"""google.logging.v2.ConfigServiceV2, of which sinks are all that is here."""

import re
from typing import Any

from google.protobuf import empty_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument
from gcp_emulator.logs.sinks import Sinks
from gcp_emulator.messages import LOGGING, LogSink, message_class, now
from gcp_emulator.pubsub.paging import page

PARENT = re.compile(r"(projects|folders|organizations|billingAccounts)/[^/]+")
SINK = re.compile(rf"{PARENT.pattern}/sinks/[^/]+")
SHARED_WRITER = "serviceAccount:cloud-logs@system.gserviceaccount.com"
GIVEN = ("name", "destination", "filter", "description", "disabled", "exclusions", "include_children")
CHANGEABLE = frozenset(GIVEN[1:]) | {"bigquery_options", "output_version_format"}
NO_MASK = ("destination", "filter", "include_children")  # what an update without a mask means, as documented


class ConfigServiceV2:
    """Sinks: made, read, changed, deleted. `project_number` names the writers that are a sink's own."""

    def __init__(self, sinks: Sinks, project_number: str) -> None:
        self._sinks = sinks
        self._own_writer = f"serviceAccount:service-{project_number}@gcp-sa-logging.iam.gserviceaccount.com"

    async def CreateSink(self, request: Any, call: Call) -> Any:
        _check_parent(request.parent)
        sink = LogSink()
        FieldMask(paths=GIVEN).MergeMessage(request.sink, sink, replace_repeated_field=True)
        sink.writer_identity = self._own_writer if request.unique_writer_identity else SHARED_WRITER
        _stamped(sink).create_time.CopyFrom(sink.update_time)
        return self._sinks.create(request.parent, sink)

    async def GetSink(self, request: Any, call: Call) -> Any:
        _check_name(request.sink_name)
        return self._sinks.find(request.sink_name)

    async def ListSinks(self, request: Any, call: Call) -> Any:
        _check_parent(request.parent)
        names, token = page(self._sinks.names(request.parent), request, "sinks", request.parent)
        found = [self._sinks.find(name) for name in names]
        return message_class(f"{LOGGING}.ListSinksResponse")(sinks=found, next_page_token=token)

    async def UpdateSink(self, request: Any, call: Call) -> Any:
        _check_name(request.sink_name)
        sink = LogSink()
        sink.CopyFrom(self._sinks.find(request.sink_name))
        paths = tuple(request.update_mask.paths) or NO_MASK
        if unknown := set(paths) - CHANGEABLE:
            raise InvalidArgument.field("update_mask", f"{', '.join(sorted(unknown))} cannot be updated")
        if request.sink.name not in ("", sink.name):
            raise InvalidArgument.field(
                "sink.name", f"is '{request.sink.name}', but '{sink.name}' is updated"
            )
        FieldMask(paths=paths).MergeMessage(request.sink, sink, replace_repeated_field=True)
        if request.unique_writer_identity:
            sink.writer_identity = self._own_writer
        elif sink.writer_identity == self._own_writer:
            raise InvalidArgument.field(
                "unique_writer_identity", "cannot go back to false: this sink has a writer of its own"
            )
        return self._sinks.replace(request.sink_name, _stamped(sink))

    async def DeleteSink(self, request: Any, call: Call) -> Any:
        _check_name(request.sink_name)
        self._sinks.remove(request.sink_name)
        return empty_pb2.Empty()


def _stamped(sink: Any) -> Any:
    """With the times of this change, on the sink and on exclusions that are new."""
    sink.update_time.CopyFrom(now())
    for exclusion in sink.exclusions:
        exclusion.update_time.CopyFrom(sink.update_time)
        if not exclusion.HasField("create_time"):
            exclusion.create_time.CopyFrom(sink.update_time)
    return sink


def _check_parent(parent: str) -> None:
    if not PARENT.fullmatch(parent):
        raise InvalidArgument.field("parent", f"'{parent}' is no parent such as projects/my-project")


def _check_name(name: str) -> None:
    if not SINK.fullmatch(name):
        raise InvalidArgument.field(
            "sink_name", f"'{name}' is no name such as projects/my-project/sinks/my-sink"
        )
