"""Log sinks: what of the log goes where. Here the way leads to Pub/Sub, within the process.

https://cloud.google.com/logging/docs/export/configure_export_v2
"""

import json
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from gcp_emulator.errors import AlreadyExists, ApiError, NotFound
from gcp_emulator.logs.query import Query
from gcp_emulator.logs.sink_rules import PUBSUB, check_sink
from gcp_emulator.messages import LogSink
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.message import Outgoing
from gcp_emulator.store import Store, parent_of


@dataclass(slots=True)
class Sink:
    """A sink at work; `resource` is its LogSink, the numbers are of entries since the emulator started."""

    resource: Any
    wanted: Query
    unwanted: tuple[Query, ...]
    published: int = 0
    dropped: int = 0

    @property
    def topic(self) -> str:
        return str(self.resource.destination).removeprefix(PUBSUB)

    @property
    def writer(self) -> str:
        """Who publishes, and needs the right to."""
        return str(self.resource.writer_identity).removeprefix("serviceAccount:")

    def takes(self, entry: Any) -> bool:
        """Whether the filter finds the entry and no exclusion does."""
        return (
            not self.resource.disabled
            and self.wanted.fulfilled_by(entry)
            and not any(query.fulfilled_by(entry) for query in self.unwanted)
        )


class Sinks:
    """All sinks by full name (`projects/p/sinks/s`); each entry that is written passes by `route`."""

    def __init__(self, store: Store, pubsub: PubSub) -> None:
        self._store = store
        self._pubsub = pubsub
        self._sinks = {name: _at_work(parent_of(name), resource) for name, resource in store.named(LogSink)}

    def all(self) -> list[tuple[str, Sink]]:
        """Full names and sinks, in the order in which they were made."""
        return list(self._sinks.items())

    def counts(self) -> dict[str, int]:
        """Sinks there are, and entries published and dropped since the start."""
        sinks = self._sinks.values()
        return {
            "sinks": len(sinks),
            "published": sum(sink.published for sink in sinks),
            "dropped": sum(sink.dropped for sink in sinks),
        }

    def route(self, entry: Any) -> None:
        """Publish an entry to the topic of every sink that takes it. A sink that cannot never stops the writer."""
        message: Outgoing | None = None
        for sink in list(self._sinks.values()):
            try:
                if sink.takes(entry):
                    message = message or _message(entry)
                    self._pubsub.publish(sink.topic, [message], caller=sink.writer)
                    sink.published += 1
            except ApiError:
                sink.dropped += 1

    def create(self, parent: str, resource: Any) -> Any:
        """Keep a complete LogSink. InvalidArgument where it breaks a rule, AlreadyExists when the name is taken."""
        name = f"{parent}/sinks/{resource.name}"
        check_sink(resource)
        if name in self._sinks:
            raise AlreadyExists(f"Sink {resource.name} already exists")
        return self._keep(name, resource)

    def replace(self, name: str, resource: Any) -> Any:
        self.find(name)
        check_sink(resource)
        return self._keep(name, resource)

    def find(self, name: str) -> Any:
        """The LogSink of this full name, or NotFound."""
        if name not in self._sinks:
            raise NotFound(f"Sink {name.rpartition('/')[2]} does not exist")
        return self._sinks[name].resource

    def remove(self, name: str) -> None:
        self.find(name)
        del self._sinks[name]
        self._store.remove(LogSink, name)

    def names(self, parent: str) -> list[str]:
        """Full names of a parent's sinks, in alphabetical order."""
        return sorted(name for name in self._sinks if parent_of(name) == parent)

    def _keep(self, name: str, resource: Any) -> Any:
        sink = _at_work(parent_of(name), resource)
        old = self._sinks.get(name)
        if old is not None:
            sink.published, sink.dropped = old.published, old.dropped
        self._sinks[name] = sink
        self._store.put(resource, name)
        return resource


def _at_work(parent: str, resource: Any) -> Sink:
    """InvalidArgument when a filter cannot be read."""
    unwanted = [exclusion.filter for exclusion in resource.exclusions if not exclusion.disabled]
    return Sink(
        resource,
        Query.read([parent], resource.filter),
        tuple(Query.read([parent], text) for text in unwanted),
    )


def _message(entry: Any) -> Outgoing:
    """The entry as JSON, and its time as the one attribute that Google gives."""
    data = json.dumps(json_format.MessageToDict(entry), separators=(",", ":"), ensure_ascii=False)
    return Outgoing(data.encode(), {"logging.googleapis.com/timestamp": entry.timestamp.ToJsonString()})
