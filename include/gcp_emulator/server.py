"""Puts the emulator together and serves it: one event loop, gRPC and REST side by side."""

import asyncio
import fcntl
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from gcp_emulator import rest, rpc, web
from gcp_emulator.batch.engine import Engine as BatchEngine
from gcp_emulator.batch.notifications import Notifier
from gcp_emulator.batch.parts import DELAY_S
from gcp_emulator.batch.parts import Parts as BatchParts
from gcp_emulator.bigquery.routes import BigQueryRoutes
from gcp_emulator.calls import CallLog
from gcp_emulator.dispatch import Dispatcher
from gcp_emulator.errors import StartError
from gcp_emulator.faults.book import Book
from gcp_emulator.faults.calls import CallFaults
from gcp_emulator.faults.delivery import Delivery
from gcp_emulator.faults.supply import FaultySupply
from gcp_emulator.json_api import JsonApi
from gcp_emulator.logs.batch import BatchLogs
from gcp_emulator.logs.sinks import Sinks
from gcp_emulator.logs.store import LogStore
from gcp_emulator.logs.tails import Tails
from gcp_emulator.logs.tasks import TaskLogs
from gcp_emulator.metadata import MetadataServers
from gcp_emulator.pubsub.broker import PubSub
from gcp_emulator.pubsub.elsewhere import Elsewhere
from gcp_emulator.pubsub.roles import PUBLISH
from gcp_emulator.run.engine import Engine
from gcp_emulator.run.runner import Parts
from gcp_emulator.run.spec import Surroundings
from gcp_emulator.runtime import Runtime
from gcp_emulator.services.batch import BatchService
from gcp_emulator.services.executions import Executions
from gcp_emulator.services.iam_policy import IAMPolicy
from gcp_emulator.services.jobs import Jobs
from gcp_emulator.services.log_config import ConfigServiceV2
from gcp_emulator.services.logging import LoggingServiceV2
from gcp_emulator.services.metrics import MetricService
from gcp_emulator.services.operations import Operations
from gcp_emulator.services.publisher import Publisher
from gcp_emulator.services.schemas import SchemaService
from gcp_emulator.services.secrets import SecretManagerService
from gcp_emulator.services.subscriber import Subscriber
from gcp_emulator.services.tasks import Tasks
from gcp_emulator.site.routes import Site
from gcp_emulator.site.world import World
from gcp_emulator.storage.bucket_calls import NotificationCalls
from gcp_emulator.storage.changes import threadsafe
from gcp_emulator.storage.routes import StorageRoutes
from gcp_emulator.storage.shelf import Shelf
from gcp_emulator.storage.uploads import Uploads
from gcp_emulator.storage.xml_calls import XmlCalls
from gcp_emulator.store import Store
from gcp_emulator.usage import Usage

PROJECT_NUMBER = 123456789012
STORAGE_AGENT = f"service-{PROJECT_NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
BATCH_AGENT = f"service-{PROJECT_NUMBER}@gcp-sa-cloudbatch.iam.gserviceaccount.com"
PUBSUB_AGENT = f"service-{PROJECT_NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
PACKAGE = Path(__file__).resolve().parent
HOSTS = (
    "BATCH_EMULATOR_HOST",
    "CLOUD_RUN_EMULATOR_HOST",
    "SECRET_MANAGER_EMULATOR_HOST",
    "LOGGING_EMULATOR_HOST",
    "MONITORING_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
)
# google-cloud-bigquery and google-cloud-storage want a scheme; neither a slash at the end.
REST_HOSTS = ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
THREADS = 32
GRACE_S = 1.0  # for calls under way when the emulator stops


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; port 0 is any free one, `batch_delay` is in seconds (see batch/parts.py).

    `pubsub` (host:port) is another Pub/Sub that jobs' notifications go to, "" for the embedded one.
    """

    host: str = "127.0.0.1"
    grpc_port: int = 0
    rest_port: int = 0
    state: Path | None = None
    images: Path = field(default=PACKAGE.parent / "images")
    env_cache: Path | None = None
    project: str = "local-project"
    batch_delay: float = DELAY_S
    pubsub: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the emulator listens: `host:port` for gRPC, a base URL for REST; and where Pub/Sub does."""

    grpc: str
    rest: str
    pubsub: str

    @property
    def exports(self) -> Mapping[str, str]:
        """The environment that points clients here."""
        hosts = {**dict.fromkeys(HOSTS, self.grpc), "PUBSUB_EMULATOR_HOST": self.pubsub}
        hosts |= {name: self.rest for name in REST_HOSTS}
        # gcsfs would ask Google which kind of bucket each one is, for a minute
        return {**hosts, "GCP_EMULATOR_URL": self.rest, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


class Emulator:
    """One embedded Google Cloud. `start`, then `stop`; nothing outlives `stop` but the state folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._closing = AsyncExitStack()
        self._faults = Book()

    async def start(self) -> Addresses:
        """Serve; StartError when a port is taken or the state cannot be used."""
        options, calls, logs = self._options, CallLog(), LogStore()
        # asyncio's own six on two processors are taken by as many copies of large objects, and no job would start
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "emulator"))
        folder = Path(
            self._closing.enter_context(
                TemporaryDirectory(prefix="gcp-emulator-", ignore_cleanup_errors=True)
            )
        )
        if options.state is not None:
            self._closing.enter_context(lock(options.state))
        store = self._closing.enter_context(closing(open_store(options.state)))
        faults = CallFaults(self._faults)
        dispatcher = Dispatcher(self._services(folder, store, logs), calls, faults)
        server, grpc_port = await rpc.serve(dispatcher, options.host, options.grpc_port)
        self._closing.push_async_callback(server.stop, GRACE_S)
        about: dict[str, Any] = {"project": options.project, "logs": logs.counts, "sinks": self._sinks.counts}
        site = Site(self._world(store, logs, calls)).routes()
        uploads = Uploads(self._shelf.objects)
        notifications = NotificationCalls(self._shelf, self._check_topic, STORAGE_AGENT)
        storage = StorageRoutes(self._shelf, uploads, JsonApi(calls, faults), notifications).routes()
        links = XmlCalls(self._shelf, uploads, calls, faults).answer
        bigquery = BigQueryRoutes(
            JsonApi(calls, faults), (options.state or folder) / "bigquery", lambda: self._shelf
        )
        self._closing.push_async_callback(bigquery.close)
        page = web.Server(
            rest.application(
                dispatcher, calls, self._faults, about, [*site, *storage, *bigquery.routes()], links
            ),
            options.host,
            options.rest_port,
        )
        rest_port = await page.start()
        self._closing.push_async_callback(page.stop)
        self._closing.push_async_callback(self._engine.close)
        self._closing.push_async_callback(self._batch.close)
        self._closing.callback(self._pubsub.close)
        address = f"{options.host}:{grpc_port}"
        addresses = Addresses(address, f"http://{options.host}:{rest_port}", options.pubsub or address)
        self._runtime.surroundings = addresses.exports
        about.update(grpc=addresses.grpc, rest=addresses.rest)
        return addresses

    def _services(self, folder: Path, store: Store, logs: LogStore) -> Mapping[str, Any]:
        options = self._options
        metadata = MetadataServers(str(PROJECT_NUMBER))
        self._closing.push_async_callback(metadata.close)
        cache = options.env_cache or folder / "environments"
        runtime = Runtime(options.images, cache, (options.state or folder) / "tasks", metadata.address)
        self._closing.push_async_callback(runtime.close)
        self._runtime = runtime
        secrets = SecretManagerService(store)
        self._pubsub = PubSub(store, agent=PUBSUB_AGENT)
        self._pubsub.route = Delivery(self._faults).route
        volumes = (options.state or folder) / "volumes"
        self._shelf = self._storage(volumes / "gcs", folder)
        runtime.unmounted = self._shelf.unmounted
        around = Surroundings(
            secrets=secrets,
            folders=volumes,
            default_service_account=f"{PROJECT_NUMBER}-compute@developer.gserviceaccount.com",
        )
        operations = Operations(store)
        self._sinks = Sinks(store, self._pubsub)
        logs.route = self._sinks.route
        task_logs, usage = TaskLogs(logs, str(PROJECT_NUMBER)), Usage()
        self._engine = Engine(Parts(store, runtime, around, task_logs, usage), operations)
        self._batch = BatchEngine(self._batch_parts(store, runtime, around, logs, usage, folder), operations)
        self._batch.recover()
        self._engine.recover()
        return {
            "google.cloud.batch.v1.BatchService": BatchService(store, self._batch),
            "google.cloud.run.v2.Jobs": Jobs(store, self._engine, operations, runtime),
            "google.cloud.run.v2.Executions": Executions(store, self._engine, operations),
            "google.cloud.run.v2.Tasks": Tasks(store, self._engine),
            "google.iam.v1.IAMPolicy": IAMPolicy(self._pubsub),
            "google.longrunning.Operations": operations,
            "google.cloud.secretmanager.v1.SecretManagerService": secrets,
            "google.logging.v2.ConfigServiceV2": ConfigServiceV2(self._sinks, str(PROJECT_NUMBER)),
            "google.logging.v2.LoggingServiceV2": LoggingServiceV2(logs, Tails(logs, self._faults)),
            "google.monitoring.v3.MetricService": MetricService(usage),
            "google.pubsub.v1.Publisher": Publisher(self._pubsub),
            "google.pubsub.v1.SchemaService": SchemaService(),
            "google.pubsub.v1.Subscriber": Subscriber(self._pubsub),
        }

    def _storage(self, mounted: Path, folder: Path) -> Shelf:
        state = self._options.state
        aside = (state or folder) / "storage"
        as_agent = partial(self._notified().publish, caller=STORAGE_AGENT)
        publish = threadsafe(asyncio.get_running_loop(), as_agent)
        shelf = Shelf(state, mounted, aside, str(PROJECT_NUMBER), publish)
        self._closing.callback(shelf.close)
        return shelf

    def _check_topic(self, topic: str) -> None:
        """NotFound for a topic that the embedded Pub/Sub has not, PermissionDenied where buckets may not publish;
        another Pub/Sub cannot be asked."""
        if not self._options.pubsub:
            self._pubsub.topics.find(topic)
            self._pubsub.rights.need(STORAGE_AGENT, PUBLISH, topic)

    def _batch_parts(
        self, store: Store, runtime: Runtime, around: Surroundings, logs: LogStore, usage: Usage, folder: Path
    ) -> BatchParts:
        return BatchParts(
            store=store,
            runtime=runtime,
            around=around,
            logs=BatchLogs(logs),
            usage=usage,
            notifier=Notifier(self._notified(), BATCH_AGENT),
            work=(self._options.state or folder) / "tasks",
            project_number=str(PROJECT_NUMBER),
            supply=FaultySupply(self._faults),
            delay_s=self._options.batch_delay,
        )

    def _notified(self) -> PubSub | Elsewhere:
        """Where jobs and buckets tell of themselves."""
        if not self._options.pubsub:
            return self._pubsub
        elsewhere = Elsewhere(self._options.pubsub)
        self._closing.push_async_callback(elsewhere.close)
        return elsewhere

    def _world(self, store: Store, logs: LogStore, calls: CallLog) -> World:
        return World(
            store=store,
            run=self._engine,
            batch=self._batch,
            pubsub=self._pubsub,
            sinks=self._sinks,
            logs=logs,
            faults=self._faults,
            calls=calls,
            shelf=self._shelf,
        )

    async def stop(self) -> None:
        """End what runs, stop serving, close the store; also after a start that failed half-way."""
        await self._closing.aclose()


def lock(folder: Path) -> TextIO:
    """Held while the file is open: two emulators on one state would undo each other's work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise StartError(
            f"--state: cannot keep state in {folder} ({error}); choose another folder"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StartError(
            f"--state: another emulator uses {folder}; stop it or choose another folder"
        ) from error
    return file


def open_store(folder: Path | None) -> Store:
    try:
        return Store(folder)
    except (OSError, sqlite3.Error) as error:
        raise StartError(
            f"--state: cannot keep state in {folder} ({error}); choose another folder"
        ) from error
