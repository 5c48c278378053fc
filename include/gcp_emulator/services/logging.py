"""google.logging.v2.LoggingServiceV2"""

import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf import empty_pb2, json_format
from google.protobuf.message import DecodeError

from gcp_emulator.calls import Call
from gcp_emulator.errors import InvalidArgument, NotFound
from gcp_emulator.logs.query import Query
from gcp_emulator.logs.store import LogStore, Position
from gcp_emulator.logs.tails import RATE_LIMIT, Tails
from gcp_emulator.messages import LOGGING, AuditLog, LogEntry, message_class
from gcp_emulator.pages import make_token, page_size, read_token

PARENT = re.compile(r"(projects|folders|organizations|billingAccounts)/[^/]+")
LOG_NAME = re.compile(r"(projects|folders|organizations|billingAccounts)/[^/]+/logs/[\w.%-]{1,511}", re.ASCII)
ORDERS = {"": False, "timestamp asc": False, "timestamp": False, "timestamp desc": True}
DEFAULT_PAGE = 50
BUFFER_S = 2.0  # https://cloud.google.com/logging/docs/reference/v2/rpc: TailLogEntriesRequest.buffer_window
LONGEST_BUFFER_S = 60.0
LONGEST_FILTER = 20_000  # https://cloud.google.com/logging/quotas


class LoggingServiceV2:
    """Writes, finds and follows log entries."""

    def __init__(self, store: LogStore, tails: Tails) -> None:
        self._store = store
        self._tails = tails

    async def WriteLogEntries(self, request: Any, call: Call) -> Any:
        entries = [_completed(entry, request) for entry in request.entries]
        if not entries:
            raise InvalidArgument("A write must have at least one entry.")
        if not request.dry_run:
            for entry in entries:
                self._store.add(entry)
        return message_class(f"{LOGGING}.WriteLogEntriesResponse")()

    async def ListLogEntries(self, request: Any, call: Call) -> Any:
        query = _query(request)
        if request.order_by not in ORDERS:
            raise InvalidArgument(
                f"order_by must be 'timestamp asc' or 'timestamp desc', not '{request.order_by}'"
            )
        newest_first = ORDERS[request.order_by]
        scope = (query.parents, request.filter, newest_first)
        token = read_token(request.page_token, *scope)
        after = Position.read(token) if token else None
        size = page_size(request.page_size, DEFAULT_PAGE)
        rest = query.run(self._store, newest_first=newest_first, after=after)
        found = list(itertools.islice(rest, size + 1))
        response = message_class(f"{LOGGING}.ListLogEntriesResponse")()
        response.entries.extend(kept.entry for kept in found[:size])
        if len(found) > size:
            response.next_page_token = make_token(str(found[size - 1].position), *scope)
        return response

    async def ListLogs(self, request: Any, call: Call) -> Any:
        parents = _parents([*request.resource_names] or [request.parent])
        names = self._store.log_names(parents)
        scope = ("logs", *parents)
        token = read_token(request.page_token, *scope)
        rest = [name for name in names if token is None or name > token]
        size = page_size(request.page_size, DEFAULT_PAGE)
        response = message_class(f"{LOGGING}.ListLogsResponse")(log_names=rest[:size])
        if len(rest) > size:
            response.next_page_token = make_token(rest[size - 1], *scope)
        return response

    async def DeleteLog(self, request: Any, call: Call) -> Any:
        if not LOG_NAME.fullmatch(request.log_name):
            raise InvalidArgument(f"'{request.log_name}' is no log name such as projects/p/logs/my-log")
        if not self._store.delete_log(request.log_name):
            raise NotFound(f"Log {request.log_name} not found.")
        return empty_pb2.Empty()

    async def TailLogEntries(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        """Entries as they come, in batches as long as the buffer window; ends when the client has gone."""
        request = await anext(aiter(requests), None)
        if request is None:
            return
        query = _query(request)
        window = BUFFER_S
        if request.HasField("buffer_window"):
            window = request.buffer_window.ToTimedelta().total_seconds()
        if not 0 <= window <= LONGEST_BUFFER_S:
            raise InvalidArgument(f"buffer_window must be 0s to {LONGEST_BUFFER_S:.0f}s, not {window}s")
        kind = message_class(f"{LOGGING}.TailLogEntriesResponse")
        async for answer in self._tails.follow(query, window):
            response = kind(entries=answer.entries)
            if answer.suppressed:
                response.suppression_info.add(reason=RATE_LIMIT, suppressed_count=answer.suppressed)
            yield response


def _query(request: Any) -> Query:
    if len(request.filter) > LONGEST_FILTER:
        raise InvalidArgument(
            f"filter has {len(request.filter)} characters, at most {LONGEST_FILTER} are allowed"
        )
    return Query.read(_parents(request.resource_names), request.filter)


def _completed(entry: Any, request: Any) -> Any:
    """A copy of an entry with what the request says for all of them."""
    result = LogEntry()
    result.CopyFrom(entry)
    result.log_name = entry.log_name or request.log_name
    if not LOG_NAME.fullmatch(result.log_name):
        raise InvalidArgument(f"'{result.log_name}' is no log name such as projects/p/logs/my-log")
    if not entry.HasField("resource"):
        result.resource.CopyFrom(request.resource)
    if not result.resource.type:
        raise InvalidArgument(
            "Missing resource: an entry or its request must say which resource it is about."
        )
    if result.HasField("proto_payload"):
        _check_payload(result.proto_payload)
    for key, value in request.labels.items():
        if key not in entry.labels:
            result.labels[key] = value
    return result


def _check_payload(payload: Any) -> None:
    """Google takes its own types of logs only, and what cannot be read back could not be listed."""
    if not payload.Is(AuditLog.DESCRIPTOR):
        raise InvalidArgument(
            f"proto_payload has the type '{payload.type_url}'; supported is google.cloud.audit.AuditLog."
        )
    try:
        json_format.MessageToDict(payload)
    except (DecodeError, TypeError) as error:
        raise InvalidArgument(f"proto_payload cannot be read: {error}") from error


def _parents(names: Any) -> list[str]:
    parents = ["/".join(name.split("/")[:2]) for name in names]
    if not parents or not all(PARENT.fullmatch(parent) for parent in parents):
        raise InvalidArgument(
            f"resource_names must hold names such as projects/my-project, not {list(names)}"
        )
    return parents
