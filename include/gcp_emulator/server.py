"""Puts the emulator together and serves it: one event loop, gRPC and REST side by side."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcp_emulator import rest, rpc, web
from gcp_emulator.calls import CallLog
from gcp_emulator.dispatch import Dispatcher
from gcp_emulator.logs.store import LogStore
from gcp_emulator.logs.tasks import TaskLogs
from gcp_emulator.run.engine import Engine
from gcp_emulator.run.runner import Parts
from gcp_emulator.run.spec import Surroundings
from gcp_emulator.runtime import Runtime
from gcp_emulator.services.executions import Executions
from gcp_emulator.services.jobs import Jobs
from gcp_emulator.services.logging import LoggingServiceV2
from gcp_emulator.services.operations import Operations
from gcp_emulator.services.secrets import SecretManagerService
from gcp_emulator.services.tasks import Tasks
from gcp_emulator.store import Store

PROJECT_NUMBER = 123456789012
PACKAGE = Path(__file__).resolve().parent
HOSTS = ("CLOUD_RUN_EMULATOR_HOST", "SECRET_MANAGER_EMULATOR_HOST", "LOGGING_EMULATOR_HOST")
GRACE_S = 1.0  # for calls under way when the emulator stops


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; port 0 is any free one."""

    host: str = "127.0.0.1"
    grpc_port: int = 0
    rest_port: int = 0
    state: Path | None = None
    images: Path = field(default=PACKAGE.parent / "images")
    env_cache: Path | None = None
    project: str = "local-project"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the emulator listens: `host:port` for gRPC, a base URL for REST."""

    grpc: str
    rest: str

    @property
    def exports(self) -> Mapping[str, str]:
        """The environment that points clients here."""
        return {**dict.fromkeys(HOSTS, self.grpc), "GCP_EMULATOR_URL": self.rest}


class Emulator:
    """One embedded Google Cloud. `start`, then `stop`; nothing outlives `stop` but the state folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="gcp-emulator-", ignore_cleanup_errors=True)
        self._grpc: Any = None
        self._web: web.Server | None = None

    async def start(self) -> Addresses:
        """Serve; StartError when a port is taken or the state cannot be used."""
        options, folder = self._options, Path(self._folder.name)
        self._store = Store(options.state)
        self._logs = LogStore()
        calls = CallLog()
        self._runtime = Runtime(
            options.images, options.env_cache or folder / "envs", folder / "tasks", self._metadata_host
        )
        dispatcher = Dispatcher(self._services(folder), calls)
        self._grpc, grpc_port = await rpc.serve(dispatcher, options.host, options.grpc_port)
        about: dict[str, Any] = {"project": options.project}
        self._web = web.Server(rest.application(dispatcher, calls, about), options.host, options.rest_port)
        rest_port = await self._web.start()
        addresses = Addresses(f"{options.host}:{grpc_port}", f"http://{options.host}:{rest_port}")
        about.update(grpc=addresses.grpc, rest=addresses.rest)
        return addresses

    def _services(self, folder: Path) -> Mapping[str, Any]:
        secrets = SecretManagerService(self._store)
        around = Surroundings(
            secrets=secrets,
            folders=(self._options.state or folder) / "volumes",
            default_service_account=f"{PROJECT_NUMBER}-compute@developer.gserviceaccount.com",
        )
        operations = Operations(self._store)
        self._engine = Engine(Parts(self._store, self._runtime, around, TaskLogs(self._logs)), operations)
        self._engine.recover()
        return {
            "google.cloud.run.v2.Jobs": Jobs(self._store, self._engine, operations, self._runtime),
            "google.cloud.run.v2.Executions": Executions(self._store, self._engine, operations),
            "google.cloud.run.v2.Tasks": Tasks(self._store, self._engine),
            "google.longrunning.Operations": operations,
            "google.cloud.secretmanager.v1.SecretManagerService": secrets,
            "google.logging.v2.LoggingServiceV2": LoggingServiceV2(self._logs),
        }

    async def _metadata_host(self, service_account: str, project: str) -> str:
        return "127.0.0.1:1"

    async def stop(self) -> None:
        """Stop taking calls, stop what runs, close the store."""
        await self._engine.close()
        await self._runtime.close()
        if self._web is not None:
            await self._web.stop()
        if self._grpc is not None:
            await self._grpc.stop(GRACE_S)
        self._store.close()
        self._folder.cleanup()
