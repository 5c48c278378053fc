"""What the pages show: the parts of one emulator, only ever read."""

from dataclasses import dataclass

from gcp_emulator.batch.engine import Engine as BatchEngine
from gcp_emulator.calls import CallLog
from gcp_emulator.faults.book import Book
from gcp_emulator.logs.sinks import Sinks
from gcp_emulator.logs.store import LogStore
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.run.engine import Engine
from gcp_emulator.storage.shelf import Shelf
from gcp_emulator.store import Store


@dataclass(frozen=True, slots=True)
class World:
    """One emulator."""

    store: Store
    run: Engine
    batch: BatchEngine
    pubsub: PubSub
    sinks: Sinks
    logs: LogStore
    faults: Book
    calls: CallLog
    shelf: Shelf
